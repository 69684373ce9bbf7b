import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff } from './backoff.ts';

void test('Backoff doubles up to its limit, jitters in the upper half and starts again after reset', () => {
  const low = new Backoff({ initialMs: 100, maxMs: 300 }, () => 0);
  assert.deepEqual([low.next(), low.next(), low.next(), low.next()], [50, 100, 150, 150]);
  low.reset();
  assert.equal(low.next(), 50);
  assert.equal(new Backoff({ initialMs: 100, maxMs: 300 }, () => 1).next(), 100);
});
