import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { LEASES } from '../objects/resources.ts';
import { ApiError } from './client.ts';
import { FakeKubeClient } from './fake-client.ts';
import { asRecord, asText } from './json.ts';
import { LeaderElection, microTime } from './leader.ts';

interface Candidate {
  readonly election: LeaderElection;
  readonly client: FakeKubeClient;
  /** How often it began to lead. */
  terms: number;
  /** Whether its work runs now. */
  working: boolean;
  readonly stop: () => Promise<void>;
}

/** A client of the same server, with faults of its own. */
function sameServer(server: FakeKubeClient): FakeKubeClient {
  return new FakeKubeClient({ store: server.store });
}

function candidate(t: TestContext, server: FakeKubeClient, clock: FakeClock, identity: string): Candidate {
  const client = sameServer(server);
  const election = new LeaderElection({
    client,
    namespace: 'kube-system',
    name: 'romana-controller',
    identity,
    clock,
    log: silentLog,
    random: () => 0,
  });
  const abort = new AbortController();
  const self: Candidate = {
    election,
    client,
    terms: 0,
    working: false,
    stop: async () => {
      abort.abort();
      await running;
    },
  };
  const running = election.run(abort.signal, async (leaderSignal) => {
    self.terms += 1;
    self.working = true;
    await new Promise<void>((resolve) => leaderSignal.addEventListener('abort', () => resolve(), { once: true }));
    self.working = false;
  });
  t.after(() => self.stop());
  return self;
}

async function holder(server: FakeKubeClient): Promise<string> {
  const lease = asRecord(await server.get(LEASES, 'romana-controller', 'kube-system'));
  return asText(asRecord(lease?.['spec'])?.['holderIdentity']);
}

async function seconds(clock: FakeClock, count: number): Promise<void> {
  for (let i = 0; i < count * 10; i += 1) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const AWAY = new Error('connect ECONNREFUSED');

void test('LeaderElection lets one of two lead, and renews', async (t) => {
  const clock = new FakeClock();
  const server = new FakeKubeClient();
  const a = candidate(t, server, clock, 'a');
  await seconds(clock, 1);
  const b = candidate(t, server, clock, 'b');
  await seconds(clock, 60);
  assert.deepEqual([a.working, a.terms, b.working, b.terms], [true, 1, false, 0]);
  assert.equal(a.election.leading, true);
});

void test('LeaderElection releases the lease on a clean stop, and the other leads within its retry', async (t) => {
  const clock = new FakeClock();
  const server = new FakeKubeClient();
  const a = candidate(t, server, clock, 'a');
  await seconds(clock, 1);
  const b = candidate(t, server, clock, 'b');
  await seconds(clock, 3);
  await a.stop();
  assert.deepEqual([a.working, await holder(server)], [false, '']);
  await seconds(clock, 2);
  assert.deepEqual([b.working, await holder(server)], [true, 'b']);
});

void test('LeaderElection stops leading at the renew deadline, before another begins at the end of the lease', async (t) => {
  const clock = new FakeClock();
  const server = new FakeKubeClient();
  const a = candidate(t, server, clock, 'a');
  await seconds(clock, 1);
  const b = candidate(t, server, clock, 'b');
  await seconds(clock, 3);
  a.client.fail = () => AWAY;
  await seconds(clock, 5);
  assert.deepEqual([a.working, b.working], [true, false], 'an outage shorter than the deadline is survived');
  await seconds(clock, 3);
  assert.deepEqual([a.working, b.working], [false, false], 'nobody leads between deadline and end of the lease');
  await seconds(clock, 4);
  assert.deepEqual([a.working, b.working], [false, true]);
  a.client.fail = () => undefined;
  await seconds(clock, 20);
  assert.deepEqual([a.working, b.working, b.terms], [false, true, 1]);
});

void test('LeaderElection stops leading at the deadline even when a request hangs', async (t) => {
  const clock = new FakeClock();
  const server = new FakeKubeClient();
  const a = candidate(t, server, clock, 'a');
  await seconds(clock, 2);
  assert.equal(a.working, true);
  a.client.get = () => new Promise(() => undefined);
  await seconds(clock, 8);
  assert.deepEqual([a.working, a.election.leading], [false, false]);
});

void test('LeaderElection goes on leading when a renewal comes back as a conflict with itself', async (t) => {
  const clock = new FakeClock();
  const server = new FakeKubeClient();
  const a = candidate(t, server, clock, 'a');
  await seconds(clock, 2);
  let once = true;
  a.client.fail = (call) => {
    if (!once || call.verb !== 'replace') return undefined;
    once = false;
    return new ApiError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
  };
  await seconds(clock, 30);
  assert.deepEqual([once, a.working, a.terms], [false, true, 1]);
});

void test('LeaderElection stops leading at once when the lease is another’s', async (t) => {
  const clock = new FakeClock();
  const server = new FakeKubeClient();
  const a = candidate(t, server, clock, 'a');
  await seconds(clock, 2);
  const spec = { holderIdentity: 'usurper' };
  await server.patch(LEASES, 'romana-controller', { spec }, { namespace: 'kube-system' });
  await seconds(clock, 2);
  assert.equal(a.working, false);
});

void test('LeaderElection.run rejects with what its work throws, after releasing the lease', async () => {
  const server = new FakeKubeClient();
  const election = new LeaderElection({
    client: server,
    namespace: 'kube-system',
    name: 'romana-controller',
    identity: 'a',
    clock: new FakeClock(),
    log: silentLog,
  });
  const running = election.run(new AbortController().signal, () => Promise.reject(new Error('a bug')));
  await assert.rejects(running, /a bug/);
  assert.equal(await holder(server), '');
});

void test('microTime has six digits of a second, which is all that Kubernetes reads', () => {
  assert.equal(microTime(1_234), '1970-01-01T00:00:01.234000Z');
});
