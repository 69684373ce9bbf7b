import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Registry } from '../lib/prometheus.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { LEADER_TIMES, LeaderElection } from '../kube/leader.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import type { JsonObject } from '../objects/field.ts';
import { HOST_REPORTS, LEASES, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { Controller } from './controller.ts';
import { FakeApi } from './fake-api.ts';
import { GONE_MS } from './orphan-reports.ts';

interface Running {
  readonly client: FakeKubeClient;
  /** What it wrote beside its lease, as "create tenants a". */
  written(): readonly string[];
  stop(): Promise<void>;
}

/** A controller as the program runs it, with a client of its own to one API server. */
function start(t: TestContext, api: FakeApi, clock: FakeClock, identity: string, firstNetwork?: JsonObject): Running {
  const client = new FakeKubeClient({ store: api.store });
  const lease = { namespace: 'kube-system', name: 'romana-controller' };
  const election = new LeaderElection({ client, ...lease, identity, clock, log: silentLog, random: () => 0 });
  const abort = new AbortController();
  const controller = new Controller({
    client,
    clock,
    log: silentLog,
    registry: new Registry(),
    firstNetwork,
    lead: (work, until) => election.run(until, work),
    warn: () => Promise.resolve(),
  });
  const running = controller.run(abort.signal);
  const stop = async (): Promise<void> => {
    client.fail = () => undefined;
    abort.abort();
    await running;
  };
  t.after(stop);
  const written = (): readonly string[] =>
    client.calls
      .filter(({ verb, resource }) => !['list', 'get', 'watch'].includes(verb) && resource !== LEASES)
      .map(({ verb, resource, key }) => `${verb} ${resource.plural} ${key}`);
  return { client, written, stop };
}

async function seconds(clock: FakeClock, count: number): Promise<void> {
  for (let i = 0; i < count * 10; i += 1) {
    await clock.advance(100);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function addNamespace(api: FakeApi, name: string): Promise<void> {
  await api.create(NAMESPACES, { metadata: { name } });
  await api.create(PODS, { metadata: { name: 'p' } }, name);
}

const idsOf = (api: FakeApi) => [...api.read(TENANTS, parseTenant)].map(([name, { id }]) => `${name} ${id}`);

void test('two controllers: one acts; the other takes over when that one is paused, and then that one writes nothing', async (t) => {
  assert.deepEqual(LEADER_TIMES, { leaseMs: 10_000, renewDeadlineMs: 7_000, retryMs: 1_000 });
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: {} });
  const clock = new FakeClock();
  const first = start(t, api, clock, 'first');
  await seconds(clock, 1);
  const second = start(t, api, clock, 'second');
  await addNamespace(api, 'a');
  await seconds(clock, 3);
  assert.deepEqual(idsOf(api), ['a 1']);
  assert.deepEqual(second.written(), []);

  // Nothing that the first one sends arrives, as when it is paused.
  first.client.fail = () => new Error('connect ETIMEDOUT');
  const before = first.written().length;
  await addNamespace(api, 'b');
  await seconds(clock, 8);
  assert.deepEqual(idsOf(api), ['a 1']);
  const tried = first.written().length;
  assert.ok(tried > before, 'it acts until its deadline is over');
  await seconds(clock, 5);
  assert.deepEqual(idsOf(api), ['a 1', 'b 2']);

  // Awake again it sees that another leads.
  first.client.fail = () => undefined;
  await addNamespace(api, 'c');
  await seconds(clock, 15);
  assert.deepEqual(idsOf(api), ['a 1', 'b 2', 'c 3']);
  assert.deepEqual(first.written().slice(tried), []);
});

void test('two controllers: the other takes over at once from one that is stopped', async (t) => {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: {} });
  const clock = new FakeClock();
  const first = start(t, api, clock, 'first');
  await seconds(clock, 1);
  const second = start(t, api, clock, 'second');
  await seconds(clock, 2);
  await first.stop();
  await addNamespace(api, 'a');
  await seconds(clock, 3);
  assert.deepEqual(idsOf(api), ['a 1']);
  assert.ok(second.written().length > 0);
});

void test('a controller that leads sweeps the reports of machines that are gone for good', async (t) => {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: {} });
  const clock = new FakeClock(2 * GONE_MS);
  await api.create(HOST_REPORTS, { metadata: { name: 'gone' }, status: { reportedAt: '1970-01-01T00:00:00Z' } });
  start(t, api, clock, 'first');
  await seconds(clock, 2);
  assert.equal(api.state().reports.size, 0);
});

void test('Controller makes the first Network of a cluster when it leads, and leaves one that is there alone', async (t) => {
  const clock = new FakeClock();
  const api = new FakeApi();
  const plan = { cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 };
  const network = { metadata: { name: 'default' }, spec: { plans: [plan] } };
  const one = start(t, api, clock, 'one', network);
  one.client.fail = ({ verb, resource }) =>
    verb === 'create' && resource === NETWORKS && clock.now() < 3_000 ? new Error('not yet') : undefined;
  await seconds(clock, 5);
  const made = (await api.get(NETWORKS, 'default')) as { spec: object };
  assert.deepEqual(made.spec, network.spec);
  await api.create(NODES, { metadata: { name: 'n1' } });
  await seconds(clock, 1);
  assert.ok(one.written().includes('create hosts n1'));
  await one.stop();
  const two = start(t, api, clock, 'two', { ...network, spec: { plans: [] } });
  await seconds(clock, 2);
  assert.ok(!two.written().includes('create networks default'), two.written().join(', '));
});
