import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { Backoff } from './backoff.ts';

void test('Backoff doubles up to its limit, jitters in the upper half and starts again after reset', () => {
  const low = new Backoff({ initialMs: 100, maxMs: 300 }, () => 0);
  assert.deepEqual([low.next(), low.next(), low.next(), low.next()], [50, 100, 150, 150]);
  low.reset();
  assert.equal(low.next(), 50);
  assert.equal(new Backoff({ initialMs: 100, maxMs: 300 }, () => 1).next(), 100);
});

void test('Backoff of many who failed at once soon does not bring them back together', () => {
  const limits = { initialMs: 50, maxMs: 1_000 };
  const agents = 1_000;
  /** At most so many of them in 10 ms, where all at any time of the longest step would be 20. */
  const crowd = 60;
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 7, max: 12 }), (seed, tries) => {
      const random = seeded(seed);
      const times = Array.from({ length: agents }, () => {
        const backoff = new Backoff(limits, random);
        return Array.from({ length: tries }, () => backoff.next()).reduce((sum, wait) => sum + wait, 0);
      });
      const slots = Map.groupBy(times, (time) => Math.floor(time / 10));
      assert.ok(Math.max(...Array.from(slots.values(), ({ length }) => length)) <= crowd);
      assert.ok(Math.max(...times) <= tries * limits.maxMs);
    }),
    { numRuns: 50 },
  );
});

/** Numbers in [0, 1) by a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
