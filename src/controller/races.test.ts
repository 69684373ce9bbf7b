import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FakeClock } from '../lib/fake-clock.ts';
import { parseHost } from '../objects/host.ts';
import { HOST_REPORTS, HOSTS, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { applyActions } from './apply.ts';
import { assign } from './assign.ts';
import { FakeApi } from './fake-api.ts';
import { ID_CLAIMS, idClaimToJson, parseIdClaim } from '../objects/id-claim.ts';
import type { Action, ClusterState } from './state.ts';

const PLAN = { cidr: '10.0.0.0/8', hostBits: 3, tenantBits: 2, segmentBits: 2, endpointBits: 17 };
const NAMES = ['a', 'b', 'c', 'd'];
const never = new AbortController().signal;

/** A leader whose copies of the kinds are of different ages and who may be stopped between any two writes. */
interface Leader {
  state: ClusterState;
  pending: readonly Action[];
}

const kinds = fc.subarray(
  ['network', 'nodes', 'namespaces', 'pods', 'hosts', 'tenants', 'reports', 'claims'] as const,
  { minLength: 1 },
);
const leader = fc.nat(1);
const name = fc.constantFrom(...NAMES);
const step = fc.oneof(
  // One write of what was planned; all of it with everything seen; a look at some kinds only, then a plan.
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), leader }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('work' as const), leader, rounds: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('plan' as const), leader, kinds }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('node' as const), name }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('namespace' as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('acknowledge' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const hostsOf = (api: FakeApi) => api.read(HOSTS, parseHost);
const tenantsOf = (api: FakeApi) => api.read(TENANTS, parseTenant);

async function take(api: FakeApi, leaders: readonly Leader[], step: Step): Promise<void> {
  if (step.do === 'node') return toggleNode(api, step.name);
  if (step.do === 'namespace') return toggleNamespace(api, step.name);
  if (step.do === 'acknowledge') return acknowledge(api);
  const leader = leaders[step.leader];
  assert.ok(leader);
  if (step.do === 'work') {
    for (let round = 0; round < step.rounds; round++) {
      leader.state = api.state();
      await applyActions(api, new FakeClock(), assign(leader.state).actions, never);
    }
    leader.state = api.state();
    leader.pending = assign(leader.state).actions;
  } else if (step.do === 'plan') {
    const now = api.state();
    leader.state = { ...leader.state, ...Object.fromEntries(step.kinds.map((kind) => [kind, now[kind]])) };
    leader.pending = assign(leader.state).actions;
  } else {
    await applyActions(api, new FakeClock(), leader.pending.slice(0, 1), never);
    leader.pending = leader.pending.slice(1);
  }
  return undefined;
}

async function toggleNode(api: FakeApi, name: string): Promise<void> {
  if (api.state().nodes.has(name)) await api.delete(NODES, name);
  else await api.create(NODES, { metadata: { name } });
}

async function toggleNamespace(api: FakeApi, name: string): Promise<void> {
  if (api.state().namespaces.has(name)) {
    await api.delete(PODS, 'p', { namespace: name });
    await api.delete(NAMESPACES, name);
  } else {
    await api.create(NAMESPACES, { metadata: { name } });
    await api.create(PODS, { metadata: { name: 'p', labels: { segment: name } } }, name);
  }
}

/** All agents have seen everything: they mean nobody by the Tenants that are gone. */
async function acknowledge(api: FakeApi): Promise<void> {
  for (const name of hostsOf(api).keys()) {
    if (!api.state().reports.has(name)) await api.create(HOST_REPORTS, { metadata: { name }, status: {} });
  }
  for (const name of api.state().reports.keys()) {
    await api.patch(HOST_REPORTS, name, { status: { acknowledged: api.releases() } });
  }
}

/** No id twice among what is there, and whoever has one keeps it. */
class Watcher {
  readonly #tenants = new Map<string, number>();
  readonly #hosts = new Map<string, number>();

  check(api: FakeApi): void {
    const hosts = [...hostsOf(api).values()];
    assert.equal(new Set(hosts.map(({ id }) => id)).size, hosts.length, 'a host id is there twice');
    const tenants = [...tenantsOf(api).values()].filter(({ id }) => id !== 0);
    assert.equal(new Set(tenants.map(({ id }) => id)).size, tenants.length, 'a tenant id is there twice');
    for (const { meta, id } of tenants) assert.equal(id, this.#tenants.get(meta.uid) ?? id, 'a tenant id changed');
    for (const { meta, id } of hosts) assert.equal(id, this.#hosts.get(meta.uid) ?? id, 'a host id changed');
    for (const { meta, id } of tenants) this.#tenants.set(meta.uid, id);
    for (const { meta, id } of hosts) this.#hosts.set(meta.uid, id);
  }
}

async function settle(api: FakeApi): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const { actions } = assign(api.state());
    if (actions.length === 0) return;
    await applyActions(api, new FakeClock(), actions, never);
  }
  assert.fail('does not come to rest');
}

void test('R33: two leaders with copies of any age, stopped at any point, never give one id twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }), async (steps) => {
      const api = new FakeApi();
      await api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: [PLAN] } });
      const leaders: readonly Leader[] = [0, 1].map(() => ({ state: api.state(), pending: [] }));
      const watcher = new Watcher();
      for (const step of steps) {
        await take(api, leaders, step);
        watcher.check(api);
      }
      const before = hostsOf(api);
      await settle(api);
      watcher.check(api);
      for (const [name, host] of hostsOf(api)) assert.equal(before.get(name)?.id ?? host.id, host.id);
      assert.equal(hostsOf(api).size, api.state().nodes.size);
      assert.equal(tenantsOf(api).size, api.state().namespaces.size);
    }),
    { numRuns: 300 },
  );
});

async function makeApi(): Promise<FakeApi> {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: [PLAN] } });
  return api;
}

/** Applies the actions that a leader planned on what it knew, and says which of them the API server knew better. */
async function applyLate(api: FakeApi, state: ClusterState): Promise<readonly string[]> {
  const { outdated } = await applyActions(api, new FakeClock(), assign(state).actions, never);
  return outdated.map(({ kind }) => kind);
}

void test('R33: a leader paused before it writes a tenant id writes it into no Tenant of the same name made since', async () => {
  const api = await makeApi();
  await toggleNamespace(api, 'a');
  for (let round = 0; round < 3; round++) {
    const { actions } = assign(api.state());
    if (actions.some(({ kind }) => kind === 'set-tenant')) break;
    await applyActions(api, new FakeClock(), actions, never);
  }
  const paused = api.state();
  await toggleNamespace(api, 'a');
  await settle(api); // nobody has to acknowledge, there is no host: the id is free again
  await toggleNamespace(api, 'b');
  await settle(api);
  assert.equal(tenantsOf(api).get('b')?.id, 1);
  await toggleNamespace(api, 'a');
  await applyActions(api, new FakeClock(), assign(api.state()).actions, never);
  assert.deepEqual(await applyLate(api, paused), ['set-tenant']);
  assert.equal(tenantsOf(api).get('a')?.id, 0);
});

void test('R33: a leader whose copy of the Tenants is old releases no id of a Tenant that is there', async () => {
  const api = await makeApi();
  const before = api.state();
  await toggleNamespace(api, 'a');
  await settle(api);
  const state = { ...api.state(), tenants: before.tenants, pods: before.pods };
  assert.deepEqual(await applyLate(api, state), ['release-claim']);
  assert.equal(api.read(ID_CLAIMS, parseIdClaim).get('tenant-1')?.released, false);
});

void test('a leader whose copy of Nodes or namespaces is old removes neither Host nor Tenant', async () => {
  const api = await makeApi();
  const before = api.state();
  await toggleNamespace(api, 'a');
  await toggleNode(api, 'n1');
  await settle(api);
  const { nodes, namespaces, pods } = before;
  const state = { ...api.state(), nodes, namespaces, pods };
  assert.deepEqual(await applyLate(api, state), ['delete-host', 'delete-tenant']);
});

void test('a leader that has not seen a claim yet does not remove the Host that stands on it', async () => {
  const api = await makeApi();
  await toggleNode(api, 'n1');
  await settle(api);
  await api.create(ID_CLAIMS, idClaimToJson({ kind: 'Host', id: 5, holder: { name: 'n1', uid: '' } }));
  const claims = new Map([...api.state().claims].filter(([name]) => name !== 'host-0'));
  assert.deepEqual(await applyLate(api, { ...api.state(), claims }), ['delete-host']);
  await settle(api);
  assert.equal(hostsOf(api).get('n1')?.id, 0);
});

void test("a claim that another leader made first is that leader's, and the next round takes another id", async () => {
  const api = await makeApi();
  await toggleNode(api, 'n1');
  const late = api.state();
  await toggleNode(api, 'n2');
  await toggleNode(api, 'n1');
  await settle(api);
  assert.equal(hostsOf(api).get('n2')?.id, 0);
  await toggleNode(api, 'n1');
  assert.ok((await applyLate(api, late)).includes('create-claim'));
  await settle(api);
  assert.equal(hostsOf(api).get('n1')?.id, 1);
});

void test('a leader whose copy of the pods is old takes no Tenant from a namespace that has some', async () => {
  const api = new FakeApi();
  const wide = { cidr: 'fd00:10::/64', hostBits: 16, tenantBits: 16, segmentBits: 16, endpointBits: 16 };
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: [PLAN, wide] } });
  for (const name of NAMES) {
    await toggleNamespace(api, name);
    await settle(api);
  }
  await toggleNamespace(api, 'a');
  await settle(api);
  const pods = new Map([...api.state().pods].filter(([key]) => key !== 'd/p'));
  assert.deepEqual(await applyLate(api, { ...api.state(), pods }), ['delete-tenant']);
  assert.equal(tenantsOf(api).get('d')?.id, 4);
});
