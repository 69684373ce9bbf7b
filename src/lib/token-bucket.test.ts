import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from './fake-clock.ts';
import { TokenBucket } from './token-bucket.ts';

const takes = (bucket: TokenBucket, count: number): number =>
  Array.from({ length: count }, () => bucket.take()).filter((taken) => taken).length;

test('TokenBucket gives its burst at once, then one each time, and never more than its burst', async () => {
  const clock = new FakeClock(1_000);
  const bucket = new TokenBucket({ burst: 3, everyMs: 100 }, clock);
  assert.equal(takes(bucket, 9), 3);
  await clock.advance(99);
  assert.equal(takes(bucket, 9), 0);
  await clock.advance(1);
  assert.equal(takes(bucket, 9), 1);
  assert.ok(!bucket.full);
  await clock.advance(10_000);
  assert.ok(bucket.full);
  assert.equal(takes(bucket, 9), 3);
});

test('TokenBucket goes on from a clock that was set back', () => {
  let now = 1_000_000;
  const bucket = new TokenBucket({ burst: 1, everyMs: 100 }, { now: () => now });
  assert.equal(takes(bucket, 2), 1);
  now = 0;
  assert.equal(takes(bucket, 2), 0);
  now = 100;
  assert.equal(takes(bucket, 2), 1);
});
