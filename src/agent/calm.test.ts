import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { waitFor } from '../lib/wait-for.ts';
import { Calm } from './calm.ts';

const never = new AbortController().signal;

/** Whether calm was reached, asked at any time. */
function watch(calm: Calm, hurry = never): { reached: boolean } {
  const seen = { reached: false };
  void calm.reached(hurry).then(() => (seen.reached = true));
  return seen;
}

test('Calm is reached at once when nothing was ever under way', async () => {
  await new Calm(new FakeClock()).reached(never);
});

test('Calm is reached when nothing has been under way for a while', async () => {
  const clock = new FakeClock();
  const calm = new Calm(clock, { quietMs: 25, maxMs: 1_000 });
  const gate = Promise.withResolvers<void>();
  const work = calm.disturb(() => gate.promise);
  const seen = watch(calm);
  await clock.advance(100);
  assert.ok(!seen.reached);
  gate.resolve();
  await work;
  await clock.advance(24);
  assert.ok(!seen.reached);
  await clock.advance(25);
  await waitFor('calm', () => seen.reached);
});

test('Calm is waited for no longer than its bound, and not by who is in a hurry', async () => {
  const clock = new FakeClock();
  const calm = new Calm(clock, { quietMs: 25, maxMs: 100 });
  void calm.disturb(() => Promise.withResolvers<never>().promise);
  const hurry = new AbortController();
  const [patient, hurried] = [watch(calm), watch(calm, hurry.signal)];
  hurry.abort();
  await waitFor('the one in a hurry', () => hurried.reached);
  assert.ok(!patient.reached);
  await clock.advance(100);
  await waitFor('the patient one', () => patient.reached);
});

test('Calm.disturb gives what the work gives and ends with it, well or badly', async () => {
  const calm = new Calm(new FakeClock());
  assert.equal(await calm.disturb(() => Promise.resolve(5)), 5);
  await assert.rejects(
    calm.disturb(() => Promise.reject(new Error('no'))),
    /no/,
  );
});
