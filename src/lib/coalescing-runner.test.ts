import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CoalescingRunner } from './coalescing-runner.ts';
import { FakeClock } from './fake-clock.ts';

const noError = (error: unknown): void => assert.fail(String(error));

void test('CoalescingRunner makes one run of many marks in one turn', async () => {
  let runs = 0;
  const runner = new CoalescingRunner(() => void (runs += 1), { onError: noError });
  for (let i = 0; i < 100; i += 1) runner.markDirty();
  await runner.settled();
  assert.equal(runs, 1);
});

void test('CoalescingRunner runs once more for marks during a run, never twice at once', async () => {
  let runs = 0;
  let active = 0;
  const runner = new CoalescingRunner(
    async () => {
      active += 1;
      assert.equal(active, 1);
      runs += 1;
      if (runs === 1) {
        runner.markDirty();
        runner.markDirty();
      }
      await new Promise((resolve) => setImmediate(resolve));
      active -= 1;
    },
    { onError: noError },
  );
  runner.markDirty();
  await runner.settled();
  assert.equal(runs, 2);
});

void test('CoalescingRunner repeats a failed run after a back-off', async () => {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  let runs = 0;
  const runner = new CoalescingRunner(
    () => {
      runs += 1;
      if (runs === 1) throw new Error('no');
    },
    { clock, onError: (error) => errors.push(error), retry: { initialMs: 100, maxMs: 100 } },
  );
  runner.markDirty();
  while (clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(runs, 1);
  await clock.advance(100);
  await runner.settled();
  assert.equal(runs, 2);
  assert.equal(errors.length, 1);
});

void test('CoalescingRunner runs nothing after stop', async () => {
  let runs = 0;
  const runner = new CoalescingRunner(() => void (runs += 1), { onError: noError });
  await runner.stop();
  runner.markDirty();
  await runner.settled();
  assert.equal(runs, 0);
});

void test('CoalescingRunner takes a mark that comes any number of promises after a run', async () => {
  for (let turns = 0; turns < 8; turns += 1) {
    let runs = 0;
    const runner = new CoalescingRunner(
      () => {
        runs += 1;
        if (runs === 1) void markLater(runner, turns);
      },
      { onError: noError },
    );
    runner.markDirty();
    await new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
    assert.equal(runs, 2, `${turns} turns`);
  }
});

async function markLater(runner: CoalescingRunner, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
  runner.markDirty();
}
