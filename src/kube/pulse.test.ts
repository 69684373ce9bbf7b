import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { Pulse, RETURN_EVERY_MS, RETURNS_AT_ONCE } from './pulse.ts';

type Server = 'answers' | 'refuses' | 'is silent';

/** A pulse of a server that does as `is` says; asks every 2,000 ms, answers count for 1,000 ms. */
function make(): { clock: FakeClock; pulse: Pulse; server: { is: Server; asked: number[]; returns: number } } {
  const clock = new FakeClock();
  const server = { is: 'answers' as Server, asked: [] as number[], returns: 0 };
  const pulse = new Pulse({
    ask: () => {
      server.asked.push(clock.now());
      if (server.is === 'answers') return Promise.resolve();
      return server.is === 'refuses' ? Promise.reject(new Error('refused')) : new Promise(() => undefined);
    },
    onReturn: () => (server.returns += 1),
    everyMs: 2_000,
    answerMs: 1_000,
    clock,
    random: () => 0,
  });
  return { clock, pulse, server };
}

void test('Pulse asks nothing while no exchange lasts, and once in its time while one does', async () => {
  const { clock, pulse, server } = make();
  await clock.advance(10_000);
  pulse.follow()();
  await clock.advance(10_000);
  assert.deepEqual(server.asked, []);
  const end = pulse.follow();
  pulse.follow()();
  await clock.advance(6_500);
  assert.deepEqual(server.asked, [22_000, 24_000, 26_000]);
  end();
  await clock.advance(10_000);
  assert.equal(server.asked.length, 3);
  assert.equal(server.returns, 0);
});

void test('Pulse tells the return of a server that was silent, within 0.8 s', async () => {
  const { clock, pulse, server } = make();
  pulse.follow();
  await clock.advance(2_000);
  server.is = 'is silent';
  await clock.advance(8_000);
  assert.ok(server.asked.length > 4, `asked at ${server.asked.join()}`);
  assert.equal(server.returns, 0);
  server.is = 'answers';
  await clock.advance(800);
  assert.equal(server.returns, 1);
  await clock.advance(20_000);
  assert.equal(server.returns, 1);
});

void test('Pulse tells no return of a server that refused, unless it was silent too', async () => {
  const { clock, pulse, server } = make();
  pulse.follow();
  server.is = 'refuses';
  await clock.advance(5_000);
  server.is = 'answers';
  await clock.advance(5_000);
  assert.equal(server.returns, 0);
  for (const is of ['is silent', 'refuses'] as const) {
    server.is = is;
    await clock.advance(5_000);
  }
  server.is = 'answers';
  await clock.advance(800);
  assert.equal(server.returns, 1);
});

void test('Pulse does not stir up a server that is slow again and again', async () => {
  const { clock, pulse, server } = make();
  pulse.follow();
  const wasSilent = async (): Promise<void> => {
    for (const is of ['is silent', 'answers'] as const) {
      server.is = is;
      await clock.advance(4_000);
    }
  };
  const start = clock.now();
  for (let n = 0; n < 100; n += 1) await wasSilent();
  const most = RETURNS_AT_ONCE + Math.ceil((clock.now() - start) / RETURN_EVERY_MS);
  assert.ok(server.returns >= RETURNS_AT_ONCE && server.returns <= most, `${server.returns} returns`);
});
