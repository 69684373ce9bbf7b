import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Registry } from '../lib/prometheus.ts';
import { ApiError } from '../kube/client.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { parseHost } from '../objects/host.ts';
import {
  CLUSTER_NETWORK_POLICIES,
  HOST_REPORTS,
  HOSTS,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  POLICY_TRACES,
  TENANTS,
} from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { Controller } from './controller.ts';
import { FakeApi } from './fake-api.ts';
import type { Warning } from './state.ts';

const tenantsOf = (api: FakeApi) => api.read(TENANTS, parseTenant);
const hostsOf = (api: FakeApi) => api.read(HOSTS, parseHost);

async function makeApi(): Promise<FakeApi> {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: {} });
  return api;
}

async function addPod(api: FakeApi, namespace: string, name: string, labels: object = {}): Promise<void> {
  if (!api.state().namespaces.has(namespace)) await api.create(NAMESPACES, { metadata: { name: namespace } });
  await api.create(PODS, { metadata: { name, labels }, spec: {} }, namespace);
}

interface Running {
  readonly controller: Controller;
  readonly registry: Registry;
  readonly warnings: Warning[];
  stop(): Promise<void>;
}

/** A controller that leads from the beginning and ends with the test. */
function start(t: TestContext, api: FakeApi, failWarning: () => boolean = () => false): Running {
  const abort = new AbortController();
  const registry = new Registry();
  const warnings: Warning[] = [];
  const controller = new Controller({
    client: api,
    clock: systemClock,
    log: silentLog,
    registry,
    lead: (work, signal) => work(signal),
    warn: async (warning) => {
      if (failWarning()) throw new Error('no event today');
      warnings.push(warning);
    },
  });
  const running = controller.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  t.after(stop);
  return { controller, registry, warnings, stop };
}

void test('Controller makes Hosts and Tenants as Nodes and pods appear, and removes Hosts with their Nodes', async (t) => {
  const api = await makeApi();
  start(t, api);
  await api.create(NODES, { metadata: { name: 'master' } });
  await addPod(api, 'a', 'p', { segment: 'frontend' });
  await waitFor('host and tenant', () => hostsOf(api).size === 1 && tenantsOf(api).get('a')?.id === 1);
  assert.deepEqual(tenantsOf(api).get('a')?.segments, [{ name: 'frontend', id: 1 }]);
  await addPod(api, 'a', 'q', { segment: 'backend' });
  await waitFor('the segment', () => tenantsOf(api).get('a')?.segments.length === 2);
  await api.delete(NODES, 'master');
  await waitFor('the host to go', () => hostsOf(api).size === 0);
});

void test('Controller gives the same ids after a restart and writes nothing when all is as it has to be', async (t) => {
  const api = await makeApi();
  const first = start(t, api);
  for (const name of ['b', 'a', 'c']) {
    await addPod(api, name, 'p');
    await waitFor(name, () => (tenantsOf(api).get(name)?.id ?? 0) > 0);
  }
  await first.stop();
  const before = [...tenantsOf(api)].map(([name, { id }]) => [name, id]);
  const calls = api.calls.length;
  const second = start(t, api);
  await addPod(api, 'd', 'p');
  await waitFor('d', () => tenantsOf(api).get('d')?.id === 4);
  await second.stop();
  assert.deepEqual([...tenantsOf(api)].map(([name, { id }]) => [name, id]).slice(0, 3), before);
  const writes = api.calls.slice(calls).filter(({ verb }) => verb === 'patch' || verb === 'delete');
  assert.deepEqual(
    writes.map(({ key }) => key).filter((key) => key !== 'd'),
    [],
  );
});

void test('Controller warns once of a namespace in the shared pool, and counts it', async (t) => {
  const api = await makeApi();
  const { warnings, registry } = start(t, api);
  for (let i = 1; i <= 17; i++) await addPod(api, `t${i}`, 'p');
  await waitFor('all tenants', () => [...tenantsOf(api).values()].filter(({ id }) => id > 0).length === 17);
  await waitFor('warnings', () => warnings.length === 2);
  await addPod(api, 't1', 'another', { segment: 's' });
  await waitFor('another round', () => tenantsOf(api).get('t1')?.segments.length === 1);
  assert.deepEqual(warnings.map(({ about, reason }) => `${about.name} ${reason}`).toSorted(), [
    't16 SharedPool',
    't17 SharedPool',
  ]);
  const text = await registry.metrics();
  assert.match(text, /^romana_controller_pooled_tenants\{family="IPv4"\} 2$/m);
  assert.match(text, /^romana_controller_pooled_tenants\{family="IPv6"\} 0$/m);
  assert.match(text, /^romana_controller_tenants 17$/m);
  assert.match(text, /^romana_controller_host_ids_left 256$/m);
  assert.match(text, /^romana_controller_leading 1$/m);
});

void test('Controller tells a warning later when it could not be told', async (t) => {
  const api = await makeApi();
  let failures = 2;
  const { warnings } = start(t, api, () => failures-- > 0);
  await api.patch(NETWORKS, 'default', { spec: { plans: [] } });
  await waitFor('the warning', () => warnings.length === 1);
  assert.equal(warnings[0]?.reason, 'Invalid');
});

void test('Controller goes on after the API server refused, and gives each id once', async (t) => {
  const api = await makeApi();
  let calls = 0;
  api.fail = ({ verb }) =>
    verb !== 'list' && verb !== 'watch' && calls++ % 3 === 1
      ? new ApiError({ status: 500, reason: 'InternalError', message: 'not now' })
      : undefined;
  const { registry } = start(t, api);
  for (const name of ['n1', 'n2', 'n3']) api.store.create(NODES, { metadata: { name } }, '');
  await waitFor('hosts', () => hostsOf(api).size === 3);
  assert.deepEqual(
    [...hostsOf(api).values()].map(({ id }) => id).toSorted((a, b) => a - b),
    [0, 1, 2],
  );
  assert.match(await registry.metrics(), /^romana_controller_errors_total [1-9]/m);
});

void test('Controller that does not lead writes nothing', async (t) => {
  const api = await makeApi();
  await api.create(NODES, { metadata: { name: 'n1' } });
  const abort = new AbortController();
  const lead = Promise.withResolvers<void>();
  const controller = new Controller({
    client: api,
    clock: systemClock,
    log: silentLog,
    registry: new Registry(),
    lead: async (work, signal) => {
      await lead.promise;
      await work(signal);
    },
    warn: async () => undefined,
  });
  assert.match(controller.notReady() ?? '', /not been read/);
  const running = controller.run(abort.signal);
  t.after(async () => {
    abort.abort();
    lead.resolve();
    await running;
  });
  await waitFor('the copies', () => controller.notReady() === undefined);
  assert.deepEqual(
    api.calls.filter(
      ({ verb, resource }) => verb === 'create' && resource.group === 'romana.io' && resource !== NETWORKS,
    ),
    [],
  );
  lead.resolve();
  await waitFor('the host', () => hostsOf(api).size === 1);
});

void test('R14: Controller says of a policy itself that hosts refuse it, and that they do no longer', async (t) => {
  const api = await makeApi();
  const { registry } = start(t, api);
  await api.create(NODES, { metadata: { name: 'n1' } });
  const spec = { tier: 'Admin', priority: 1, subject: { namespaces: {} } };
  const policy = (await api.create(CLUSTER_NETWORK_POLICIES, { metadata: { name: 'p' }, spec })) as {
    metadata: { uid: string };
  };
  await api.create(CLUSTER_NETWORK_POLICIES, { metadata: { name: 'good' }, spec });
  await waitFor('the host', () => hostsOf(api).size === 1);
  const { uid } = policy.metadata;
  const refused = { apiVersion: 'a', kind: 'ClusterNetworkPolicy', name: 'p', uid, message: 'is refused' };
  const report = async (unenforced: readonly object[]): Promise<void> => {
    await api.patch(HOST_REPORTS, 'n1', { status: { unenforced } }, { subresource: 'status' });
  };
  const said = async (name = 'p'): Promise<readonly { status: string; message: string }[]> => {
    const { status } = (await api.get(CLUSTER_NETWORK_POLICIES, name)) as {
      status?: { conditions: { status: string; message: string }[] };
    };
    return status?.conditions ?? [];
  };
  await api.create(HOST_REPORTS, { metadata: { name: 'n1' } });
  await report([refused]);
  await waitFor('the condition', async () => (await said()).length === 1);
  assert.match((await said())[0]?.message ?? '', /^on host n1: is refused; what cannot be enforced fails closed/);
  await report([]);
  await waitFor('the end of it', async () => (await said())[0]?.status === 'True');
  assert.deepEqual(await said('good'), [], 'what never failed costs no write');
  const writes = registry.getSingleMetric('romana_controller_writes_total');
  const counted = (await writes?.get())?.values.find(({ labels }) => labels['kind'] === 'set-policy-condition');
  assert.equal(counted?.value, 2);
});

void test('Controller removes questions to hosts that nobody asks any more', async (t) => {
  const api = await makeApi();
  // Time stands still there, at the epoch.
  await api.create(POLICY_TRACES, { metadata: { name: 'explain-1' }, spec: { host: 'n1' } });
  start(t, api);
  await waitFor('the question to go', async () => (await api.list(POLICY_TRACES)).items.length === 0);
});
