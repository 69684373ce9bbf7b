import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { unwrap } from '../lib/result.ts';
import { parseDemoPolicy } from '../objects/demo-policy.ts';
import { HOST_REPORTS, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant, type Tenant } from '../objects/tenant.ts';
import { demoPolicy } from '../policy/from-demo.ts';
import { applyActions } from './apply.ts';
import { assign } from './assign.ts';
import { FakeApi } from './fake-api.ts';
import { settle } from './settle.ts';

/** Three segments a tenant in IPv4. */
const NARROW = { cidr: '10.0.0.0/8', hostBits: 2, tenantBits: 2, segmentBits: 2, endpointBits: 18 };
const WIDE = { cidr: 'fd00:10::/64', hostBits: 16, tenantBits: 16, segmentBits: 16, endpointBits: 16 };
const never = new AbortController().signal;

/** A cluster with one node, whose agent acknowledges when it is told to, and namespace `a`. */
async function makeApi(plans: readonly object[] = [NARROW]): Promise<FakeApi> {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans } });
  await api.create(NODES, { metadata: { name: 'n1' } });
  await api.create(HOST_REPORTS, { metadata: { name: 'n1' }, status: {} });
  await api.create(NAMESPACES, { metadata: { name: 'a' } });
  return api;
}

/** Pods named after their segments, one after the other. */
async function addPods(api: FakeApi, ...segments: readonly string[]): Promise<void> {
  for (const segment of segments) {
    await api.create(PODS, { metadata: { name: segment, labels: { segment } } }, 'a');
    await settle(api);
  }
}

async function removePods(api: FakeApi, ...names: readonly string[]): Promise<void> {
  for (const name of names) await api.delete(PODS, name, { namespace: 'a' });
  await settle(api);
}

async function acknowledge(api: FakeApi, leases: readonly object[] = []): Promise<void> {
  await api.patch(HOST_REPORTS, 'n1', { status: { acknowledged: api.releases(), leases } });
  await settle(api);
}

function tenant(api: FakeApi): Tenant {
  const found = api.read(TENANTS, parseTenant).get('a');
  assert.ok(found);
  return found;
}
const ids = (api: FakeApi) => Object.fromEntries(tenant(api).segments.map(({ name, id }) => [name, id]));

void test('assign keeps the id of a segment that nobody names while others are left', async () => {
  const api = await makeApi();
  await addPods(api, 's1', 's2');
  await removePods(api, 's1');
  await addPods(api, 's3');
  assert.deepEqual(ids(api), { s1: 1, s2: 2, s3: 3 });
});

void test('R33: assign takes the id of a segment that nobody names when ids are scarce, and gives it when all agents agree', async () => {
  const api = await makeApi();
  await addPods(api, 's1', 's2', 's3');
  await removePods(api, 's1');
  await addPods(api, 's4');
  assert.deepEqual(ids(api), { s2: 2, s3: 3, s4: 0 });
  assert.deepEqual(
    tenant(api).released.map(({ id, release }) => [id, release]),
    [[1, api.releases()[0]]],
  );
  await addPods(api, 's5');
  assert.deepEqual(ids(api), { s2: 2, s3: 3, s4: 0, s5: 0 });
  // Acknowledged, but a pod that was deleted by force still runs.
  await acknowledge(api, [{ tenant: 1, segment: 1, count: 1 }]);
  assert.equal(tenant(api).released.length, 1);
  await acknowledge(api);
  assert.deepEqual([tenant(api).released, api.releases()], [[], []]);
  // Those in the pool leave it when they have no pods there; a new one gets the id at once.
  assert.deepEqual(ids(api), { s2: 2, s3: 3, s4: 0, s5: 0 });
  await addPods(api, 's6');
  assert.equal(ids(api)['s6'], 1);
});

void test('assign takes a segment out of the pool when it has no pods there, and a policy still names it', async () => {
  const api = await makeApi();
  await addPods(api, 's1', 's2', 's3', 's4');
  const policy = { apiVersion: 'demo.romana.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p', namespace: 'a' } };
  api.policies = [demoPolicy(unwrap(parseDemoPolicy({ ...policy, spec: { podSelector: { segment: 's4' } } })))];
  await removePods(api, 's1');
  await acknowledge(api);
  assert.equal(ids(api)['s4'], 0);
  await removePods(api, 's4');
  assert.deepEqual(ids(api), { s2: 2, s3: 3, s4: 1 });
});

void test('assign takes no id from a segment that pods still run in, named or not', async () => {
  const api = await makeApi();
  await addPods(api, 's1', 's2', 's3');
  await api.patch(HOST_REPORTS, 'n1', { status: { leases: [{ tenant: 1, segment: 1, count: 1 }] } });
  await removePods(api, 's1');
  await addPods(api, 's4');
  assert.deepEqual(ids(api), { s1: 1, s2: 2, s3: 3, s4: 0 });
});

void test('assign gives a segment that is pooled in the narrow family only an id that fits, once it has no pods', async () => {
  const api = await makeApi([NARROW, WIDE]);
  await addPods(api, 's1', 's2', 's3', 's4');
  assert.equal(ids(api)['s4'], 4);
  await removePods(api, 's1');
  const policy = { apiVersion: 'demo.romana.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p', namespace: 'a' } };
  api.policies = [demoPolicy(unwrap(parseDemoPolicy({ ...policy, spec: { podSelector: { segment: 's4' } } })))];
  await acknowledge(api);
  assert.deepEqual(ids(api), { s2: 2, s3: 3, s4: 4 });
  await removePods(api, 's4');
  assert.deepEqual(ids(api), { s2: 2, s3: 3, s4: 1 });
  assert.deepEqual(
    tenant(api).released.map(({ id }) => id),
    [4],
  );
});

void test('R33: a leader that has not seen a host that has joined since frees nothing', async () => {
  const api = await makeApi();
  await addPods(api, 's1', 's2', 's3');
  await removePods(api, 's1');
  await addPods(api, 's4');
  const old = api.state();
  await api.create(NODES, { metadata: { name: 'n2' } });
  await settle(api);
  await api.patch(HOST_REPORTS, 'n1', { status: { acknowledged: api.releases() } });
  const { hosts } = old;
  const { actions } = assign({ ...api.state(), hosts });
  const { outdated } = await applyActions(api, new FakeClock(), actions, never);
  assert.ok(outdated.some(({ kind }) => kind === 'set-tenant'));
  assert.equal(tenant(api).released.length, 1);
});
