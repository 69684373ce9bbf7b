import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { giveBackMemory } from './give-back.ts';

void test('giveBackMemory: soon after the start, then once a minute, until the signal', async () => {
  const clock = new FakeClock();
  const end = new AbortController();
  const at: number[] = [];
  const giveBack = (): Promise<void> => Promise.resolve(void at.push(clock.now()));
  const done = giveBackMemory(giveBack, { clock, signal: end.signal });
  await clock.advance(123_000);
  assert.deepEqual(at, [3_000, 63_000, 123_000]);
  end.abort();
  await done;
  assert.equal(clock.sleeping, 0);
  assert.equal(at.length, 3);
});
