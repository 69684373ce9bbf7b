import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHost } from '../objects/host.ts';
import { ID_CLAIMS, parseIdClaim } from '../objects/id-claim.ts';
import { HOST_REPORTS, HOSTS, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { FakeApi } from './fake-api.ts';
import { settle } from './settle.ts';

const PLAN = { cidr: '10.0.0.0/8', hostBits: 2, tenantBits: 2, segmentBits: 2, endpointBits: 18 };
const MARK = 'restored:monday';

/** A cluster with two nodes whose agents report, right after a backup was restored. */
async function makeApi(): Promise<FakeApi> {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: [PLAN] } });
  for (const name of ['n1', 'n2']) {
    await api.create(NODES, { metadata: { name } });
    await api.create(HOST_REPORTS, { metadata: { name }, status: {} });
  }
  await settle(api);
  await api.patch(NETWORKS, 'default', { metadata: { annotations: { 'romana.io/restored': 'monday' } } });
  await settle(api);
  return api;
}

async function addPod(api: FakeApi, namespace: string): Promise<void> {
  await api.create(NAMESPACES, { metadata: { name: namespace } });
  await api.create(PODS, { metadata: { name: 'p', labels: { segment: 's' } } }, namespace);
  await settle(api);
}

async function acknowledge(api: FakeApi, name: string): Promise<void> {
  await api.patch(HOST_REPORTS, name, { status: { acknowledged: api.releases() } });
  await settle(api);
}

const tenant = (api: FakeApi, name: string) => {
  const found = api.read(TENANTS, parseTenant).get(name);
  return [found?.id, found?.pooled, found?.segments.map(({ id }) => id)];
};

void test('R33: assign gives no new tenant id after a backup was restored until every agent has begun anew', async () => {
  const api = await makeApi();
  assert.deepEqual(api.releases(), [MARK]);
  await addPod(api, 'a');
  assert.deepEqual(tenant(api, 'a'), [0, true, []]);
  await acknowledge(api, 'n1');
  await addPod(api, 'b');
  assert.deepEqual(tenant(api, 'b'), [0, true, []]);
  await acknowledge(api, 'n2');
  assert.deepEqual(api.releases(), []);
  await addPod(api, 'c');
  assert.deepEqual(tenant(api, 'c'), [1, false, [1]]);
  // A host that joins later has begun anew by itself.
  await api.create(NODES, { metadata: { name: 'n3' } });
  await addPod(api, 'd');
  assert.deepEqual(tenant(api, 'd'), [2, false, [1]]);
});

void test('R33: assign gives and frees no id of the past while an agent may act by what was lost', async () => {
  const api = await makeApi();
  for (const name of ['n1', 'n2']) await acknowledge(api, name);
  await addPod(api, 'a');
  await api.patch(NETWORKS, 'default', { metadata: { annotations: { 'romana.io/restored': 'friday' } } });
  await api.create(PODS, { metadata: { name: 'q', labels: { segment: 't' } } }, 'a');
  await settle(api);
  assert.deepEqual(tenant(api, 'a'), [1, false, [1, 0]]);
  for (const name of ['p', 'q']) await api.delete(PODS, name, { namespace: 'a' });
  await api.delete(NAMESPACES, 'a');
  await settle(api);
  // As in a report of before: it names the release, and not that the agent has begun anew.
  const [, uid] = api.releases();
  for (const name of ['n1', 'n2']) await api.patch(HOST_REPORTS, name, { status: { acknowledged: [uid] } });
  await settle(api);
  assert.ok(api.read(ID_CLAIMS, parseIdClaim).has('tenant-1'));
  for (const name of ['n1', 'n2']) await acknowledge(api, name);
  assert.ok(!api.read(ID_CLAIMS, parseIdClaim).has('tenant-1'));
});

void test('R33: assign gives a host whose claim was lost the id that its agent acts with, and nobody else', async () => {
  const api = await makeApi();
  await api.create(HOST_REPORTS, { metadata: { name: 'n9' }, status: { hostId: 2 } });
  await api.create(NODES, { metadata: { name: 'n3' } });
  await settle(api);
  await api.create(NODES, { metadata: { name: 'n9' } });
  await settle(api);
  const ids = [...api.read(HOSTS, parseHost)].map(([name, { id }]) => [name, id]);
  assert.deepEqual(Object.fromEntries(ids), { n1: 0, n2: 1, n3: 3, n9: 2 });
});
