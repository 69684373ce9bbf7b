import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { countFreeIds, lowestFreeId } from './ids.ts';

void test('lowestFreeId skips what is taken, what rests and what is excluded', () => {
  const unavailable = { taken: new Set([1, 2]), resting: new Set([3]), excluded: [{ first: 5, last: 9 }] };
  assert.equal(lowestFreeId({ first: 1, last: 15 }, unavailable), 4);
  assert.equal(lowestFreeId({ first: 5, last: 15 }, unavailable), 10);
  assert.equal(lowestFreeId({ first: 1, last: 3 }, unavailable), undefined);
  assert.equal(lowestFreeId({ first: 1, last: 0 }, unavailable), undefined);
});

void test('lowestFreeId passes over huge excluded ranges without walking them', () => {
  const excluded = [{ first: 0, last: 2 ** 31 - 2 }];
  assert.equal(lowestFreeId({ first: 0, last: 2 ** 31 - 1 }, { taken: new Set(), excluded }), 2 ** 31 - 1);
});

void test('lowestFreeId and countFreeIds agree with looking at every id', () => {
  const id = fc.nat(30);
  const ids = fc.uniqueArray(id).map((list) => new Set(list));
  const excluded = fc.uniqueArray(id, { maxLength: 6 }).map((list) => {
    const edges = list.toSorted((a, b) => a - b);
    return edges.flatMap((first, index) => {
      const last = edges[index + 1];
      return index % 2 === 0 && last !== undefined ? [{ first, last }] : [];
    });
  });
  fc.assert(
    fc.property(id, id, ids, ids, excluded, (first, last, taken, resting, excluded) => {
      const free: number[] = [];
      for (let id = first; id <= last; id++) {
        const hole = excluded.some((range) => id >= range.first && id <= range.last);
        if (!taken.has(id) && !resting.has(id) && !hole) free.push(id);
      }
      assert.equal(lowestFreeId({ first, last }, { taken, resting, excluded }), free[0]);
      assert.equal(countFreeIds({ first, last }, { taken, resting, excluded }), free.length);
    }),
  );
});
