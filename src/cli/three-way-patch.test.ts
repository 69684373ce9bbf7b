import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { mergePatch } from '../kube/merge-patch.ts';
import { isJsonObject, type JsonObject } from '../objects/field.ts';
import { covers, threeWayPatch } from './three-way-patch.ts';

void test('threeWayPatch sets what is new, removes what is no longer wanted and leaves what others added', () => {
  const before = { a: 1, gone: 2, deep: { gone: 3, stays: 4 } };
  const wanted = { a: 1, deep: { stays: 5 }, fresh: [1] };
  const live = { a: 1, gone: 2, deep: { gone: 3, stays: 4, added: 6 }, status: 'fine' };
  assert.deepEqual(threeWayPatch(before, wanted, live), { gone: null, deep: { gone: null, stays: 5 }, fresh: [1] });
});

void test('threeWayPatch leaves a list alone to which a server added, unless the user changed it', () => {
  const wanted = { containers: [{ name: 'nginx' }] };
  const live = { containers: [{ name: 'nginx', imagePullPolicy: 'Always' }] };
  assert.equal(threeWayPatch(wanted, wanted, live), undefined);
  assert.deepEqual(threeWayPatch({ containers: [{ name: 'nginx' }, { name: 'side' }] }, wanted, live), wanted);
});

void test('threeWayPatch keeps keys that objects of JavaScript have a meaning for', () => {
  const wanted = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}') as JsonObject;
  assert.equal(JSON.stringify(threeWayPatch({}, wanted, {})), '{"__proto__":{"a":1},"constructor":2}');
});

/** JSON without nulls: a merge patch can't say them. */
const { object } = fc.letrec<{ object: JsonObject; value: unknown }>((tie) => ({
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), { maxKeys: 3 }),
  value: fc.oneof(
    { maxDepth: 3 },
    fc.integer({ min: 0, max: 2 }),
    fc.constantFrom('x', 'y'),
    fc.array(fc.nat(2)),
    tie('object'),
  ),
}));

/** Whether nothing is left of what `before` had and `wanted` has not. */
function cleared(before: JsonObject, wanted: JsonObject, live: JsonObject): boolean {
  return Object.keys(before).every((key) => {
    if (!Object.hasOwn(wanted, key)) return !Object.hasOwn(live, key);
    const [b, w, l] = [before[key], wanted[key], live[key]];
    return !isJsonObject(b) || !isJsonObject(w) || !isJsonObject(l) || cleared(b, w, l);
  });
}

void test('threeWayPatch makes any live object cover what is wanted, without what was wanted before', () => {
  fc.assert(
    fc.property(object, object, object, (before, wanted, live) => {
      const patched = mergePatch(live, threeWayPatch(before, wanted, live) ?? {});
      assert.ok(isJsonObject(patched) && covers(patched, wanted));
      assert.ok(cleared(before, wanted, patched));
      assert.equal(threeWayPatch(wanted, wanted, patched), undefined);
    }),
  );
});
