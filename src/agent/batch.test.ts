import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch } from './batch.ts';

test('Batch does what was asked for in one turn at one go, and later things later', async () => {
  const runs: (readonly number[])[] = [];
  const batch = new Batch<number>((items) => void runs.push(items));
  await Promise.all([batch.add(1), batch.add(2), Promise.resolve().then(() => batch.add(3))]);
  await batch.add(4);
  assert.deepEqual(runs, [[1, 2, 3], [4]]);
});

test('Batch tells every caller when the work fails, and goes on', async () => {
  let fails = true;
  const batch = new Batch<number>(() => {
    if (fails) throw new Error('no');
  });
  const both = await Promise.allSettled([batch.add(1), batch.add(2)]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  fails = false;
  await batch.add(3);
});
