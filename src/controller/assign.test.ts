import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDemoPolicy } from '../objects/demo-policy.ts';
import { HOST_REPORTS, HOSTS, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseHost } from '../objects/host.ts';
import { parseTenant } from '../objects/tenant.ts';
import { demoPolicy } from '../policy/from-demo.ts';
import { unwrap } from '../lib/result.ts';
import { assign } from './assign.ts';
import { FakeApi } from './fake-api.ts';
import { settle } from './settle.ts';
import { ID_CLAIMS, parseIdClaim } from '../objects/id-claim.ts';
import { advanceReleases, pendingReleases } from './releases.ts';

const SMALL = { cidr: '10.0.0.0/8', hostBits: 2, tenantBits: 2, segmentBits: 2, endpointBits: 18 };

async function makeApi(spec: object = {}): Promise<FakeApi> {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec });
  return api;
}

const addNode = (api: FakeApi, name: string, addresses: string[] = [], labels: object = {}) =>
  api.create(NODES, {
    metadata: { name, labels },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  });

async function addPod(api: FakeApi, namespace: string, name: string, labels: object = {}, spec: object = {}) {
  if (!api.state().namespaces.has(namespace)) await api.create(NAMESPACES, { metadata: { name: namespace } });
  await api.create(PODS, { metadata: { name, labels }, spec }, namespace);
}

const hosts = (api: FakeApi) => api.read(HOSTS, parseHost);
const tenants = (api: FakeApi) => api.read(TENANTS, parseTenant);
const segments = (api: FakeApi, tenant: string) =>
  Object.fromEntries((tenants(api).get(tenant)?.segments ?? []).map(({ name, id }) => [name, id]));

void test('assign refuses a plan only when no host id is left', async () => {
  const api = await makeApi({ plans: [SMALL], reservedCIDRs: ['10.0.0.0/8'] });
  await addNode(api, 'a');
  const { warnings } = await settle(api);
  assert.deepEqual([hosts(api).size, warnings[0]?.reason], [0, 'NoHostIds']);
});

void test('assign refuses another plan while a Host holds the old one, and takes it when none does', async () => {
  const api = await makeApi();
  await addNode(api, 'a');
  await settle(api);
  await api.patch(NETWORKS, 'default', { spec: { plans: [SMALL] } });
  await addNode(api, 'b');
  const { warnings } = await settle(api);
  assert.match(warnings[0]?.message ?? '', /host a \(id 0\) has 10\.0\.0\.0\/16 .* would have 10\.0\.0\.0\/10/);
  assert.equal(hosts(api).has('b'), false);
  for (const name of ['a', 'b']) await api.delete(NODES, name);
  await settle(api);
  await addNode(api, 'a');
  await settle(api);
  assert.deepEqual(hosts(api).get('a')?.ranges, ['10.0.0.0/10']);
});

for (const [what, change] of [
  ['other widths, although every host would keep its range', { plans: [{ ...SMALL, tenantBits: 3, segmentBits: 1 }] }],
  ['another segment label', { segmentLabel: 'role' }],
] as const) {
  void test(`assign refuses ${what}, and gives ids by what hosts hold`, async () => {
    const api = await makeApi({ plans: [SMALL] });
    await addNode(api, 'n1');
    await settle(api);
    await api.patch(NETWORKS, 'default', { spec: change });
    const { warnings } = await settle(api);
    assert.match(
      warnings[0]?.message ?? '',
      /cannot change while hosts hold them, 10.*:2,2,2,18 by label segment: pods have addresses by them/,
    );
    for (const name of ['a', 'b', 'c', 'd']) await addPod(api, name, 'p', { segment: 'x', role: 'y' });
    await settle(api);
    assert.deepEqual(new Set([...tenants(api).values()].map(({ id }) => id)), new Set([0, 1, 2, 3]));
    assert.deepEqual(segments(api, 'a'), { x: 1 });
    await api.patch(NETWORKS, 'default', { spec: { plans: [SMALL], segmentLabel: 'segment' } });
    assert.deepEqual(
      (await settle(api)).warnings.map(({ reason }) => reason).filter((reason) => reason === 'HeldByHosts'),
      [],
    );
  });
}

void test('assign gives pods their ids while it refuses a plan that hosts do not hold, and lets no host join', async () => {
  const api = await makeApi({ plans: [SMALL] });
  await addNode(api, 'n1');
  await settle(api);
  await api.patch(NETWORKS, 'default', { spec: { plans: [{ ...SMALL, hostBits: 3, endpointBits: 17 }] } });
  await addNode(api, 'n2');
  await addPod(api, 'later', 'p', { segment: 'x' });
  const { warnings } = await settle(api);
  assert.deepEqual(
    warnings.map(({ reason }) => reason),
    ['HeldByHosts'],
  );
  assert.deepEqual([...hosts(api).keys()], ['n1']);
  assert.equal(tenants(api).get('later')?.id, 1);
  assert.deepEqual(segments(api, 'later'), { x: 1 });
});

void test('assign says in the status why a Network cannot be read', async () => {
  const api = await makeApi({ plans: [{ ...SMALL, endpointBits: 17 }] });
  const { warnings } = await settle(api);
  assert.match(warnings[0]?.message ?? '', /spec\.plans\[0\].*8 \+ 2 \+ 2 \+ 2 \+ 17 = 31/);
});

void test('assign gives tenant ids from 1 to namespaces with pods; hostNetwork pods and empty namespaces take none', async () => {
  const api = await makeApi();
  await api.create(NAMESPACES, { metadata: { name: 'empty' } });
  await addPod(api, 'system', 'proxy', { segment: 'x' }, { hostNetwork: true });
  await addPod(api, 'a', 'p1');
  await settle(api);
  await addPod(api, 'b', 'p1');
  await settle(api);
  assert.deepEqual(
    [...tenants(api).values()].map(({ meta, id, pooled }) => [meta.name, id, pooled]),
    [
      ['a', 1, false],
      ['b', 2, false],
    ],
  );
});

void test('R38: assign gives every value of the segment label its own id, and none to pods without the label', async () => {
  const api = await makeApi();
  for (const [name, labels] of Object.entries({ p1: {}, p2: { segment: '' }, p3: { segment: 'default' } })) {
    await addPod(api, 'a', name, labels);
  }
  await settle(api);
  assert.deepEqual(segments(api, 'a'), { '': 1, default: 2 });
});

void test('assign gives segment ids to what a policy names first, in its own namespace only', async () => {
  const api = await makeApi();
  await addPod(api, 'a', 'p1', { segment: 'frontend' });
  await addPod(api, 'b', 'p1');
  await settle(api);
  const policy = {
    apiVersion: 'demo.romana.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'pol1', namespace: 'a' },
    spec: { podSelector: { segment: 'backend' }, allowIncoming: { from: [{ pods: { segment: 'admin', role: 'x' } }] } },
  };
  api.policies = [demoPolicy(unwrap(parseDemoPolicy(policy)))];
  await settle(api);
  assert.deepEqual(segments(api, 'a'), { frontend: 1, admin: 2, backend: 3 });
  assert.deepEqual(segments(api, 'b'), {});
});

void test('assign lets the 40th namespace use the shared pool of the narrow family, with a warning', async () => {
  const api = await makeApi();
  for (let i = 1; i <= 40; i++) await addPod(api, `t${i}`, 'p', { segment: 's' });
  const { warnings } = await settle(api);
  const ids = [...tenants(api).values()].map(({ id }) => id).toSorted((a, b) => a - b);
  assert.deepEqual(
    ids,
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  assert.equal(warnings.length, 25);
  assert.match(
    warnings[0]?.message ?? '',
    /10\.0\.0\.0\/8:8,4,4,8 has 15 tenant ids .* IPv4 addresses of the shared pool/,
  );
});

void test('assign pools a namespace when no family has an id, and takes it out only when it has no pods', async () => {
  const api = await makeApi({ plans: [SMALL] });
  for (const name of ['a', 'b', 'c', 'd']) await addPod(api, name, 'p', { segment: 's' });
  const { warnings } = await settle(api);
  assert.deepEqual(tenants(api).get('d')?.pooled, true);
  assert.deepEqual(
    warnings.map(({ about, reason }) => [about.name, reason]),
    [['d', 'SharedPool']],
  );
  await api.delete(PODS, 'p', { namespace: 'a' });
  await api.delete(NAMESPACES, 'a');
  await settle(api); // no host: nobody has to acknowledge
  assert.deepEqual([tenants(api).get('d')?.id, tenants(api).get('d')?.pooled], [0, true]);
  await api.delete(PODS, 'p', { namespace: 'd' });
  await settle(api);
  assert.deepEqual([tenants(api).get('d')?.id, tenants(api).get('d')?.pooled], [1, false]);
});

void test('assign gives a namespace without pods that is pooled in the narrow family an id that fits, with its next pod', async () => {
  const wide = { cidr: 'fd00:10::/64', hostBits: 16, tenantBits: 16, segmentBits: 16, endpointBits: 16 };
  const api = await makeApi({ plans: [SMALL, wide] });
  await addNode(api, 'n1');
  await api.create(HOST_REPORTS, { metadata: { name: 'n1' }, status: {} });
  for (const name of ['a', 'b', 'c', 'd']) {
    await addPod(api, name, 'p');
    await settle(api);
  }
  await api.delete(PODS, 'p', { namespace: 'a' });
  await api.delete(NAMESPACES, 'a');
  await settle(api);
  await api.patch(HOST_REPORTS, 'n1', { status: { acknowledged: api.releases() } });
  await settle(api);
  assert.equal(tenants(api).get('d')?.id, 4, 'it has pods');
  await api.patch(HOST_REPORTS, 'n1', { status: { leases: [{ tenant: 4, segment: 0, count: 1 }] } });
  await api.delete(PODS, 'p', { namespace: 'd' });
  await settle(api);
  assert.equal(tenants(api).get('d')?.id, 4, 'its pod still runs');
  await api.patch(HOST_REPORTS, 'n1', { status: { leases: [] } });
  await settle(api);
  await addPod(api, 'd', 'q');
  await settle(api);
  assert.equal(tenants(api).get('d')?.id, 1);
});

void test('assign warns of an isolation annotation that cannot be read, with its field', async () => {
  const api = await makeApi();
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'yes' };
  await api.create(NAMESPACES, { metadata: { name: 'a', annotations } });
  const { warnings } = await settle(api);
  assert.deepEqual(
    warnings.map(({ about, reason }) => [about.name, reason]),
    [['a', 'UnreadableIsolation']],
  );
  assert.match(warnings[0]?.message ?? '', /network-isolation\]: must be "on" or "off", found "yes"/);
});

void test('assign pools the segments that find no id, and warns', async () => {
  const api = await makeApi({ plans: [SMALL] });
  for (const segment of ['s1', 's2', 's3', 's4']) await addPod(api, 'a', segment, { segment });
  const { warnings } = await settle(api);
  assert.deepEqual(segments(api, 'a'), { s1: 1, s2: 2, s3: 3, s4: 0 });
  assert.deepEqual(
    warnings.map(({ reason }) => reason),
    ['SegmentsInSharedPool'],
  );
  await api.delete(PODS, 's4', { namespace: 'a' });
  await settle(api);
  assert.deepEqual(segments(api, 'a'), { s1: 1, s2: 2, s3: 3 });
});

void test('R33: assign gives a tenant id to a new owner only when every agent has acknowledged and none reports it', async () => {
  const api = await makeApi({ plans: [SMALL] });
  for (const name of ['n1', 'n2']) {
    await addNode(api, name);
    await api.create(HOST_REPORTS, { metadata: { name }, status: {} });
  }
  for (const name of ['a', 'b', 'c']) await addPod(api, name, 'p');
  await settle(api);
  const uid = tenants(api).get('a')?.meta.uid;
  await api.delete(PODS, 'p', { namespace: 'a' });
  await api.delete(NAMESPACES, 'a');
  await addPod(api, 'd', 'p');
  await settle(api);
  assert.equal(tenants(api).get('d')?.pooled, true);
  assert.deepEqual(api.releases(), [uid]);
  const leases = [{ tenant: 1, segment: 0, count: 1 }];
  await api.patch(HOST_REPORTS, 'n1', { status: { acknowledged: [uid] } });
  await settle(api);
  await api.patch(HOST_REPORTS, 'n2', { status: { acknowledged: [uid], leases } });
  await settle(api);
  assert.ok(api.read(ID_CLAIMS, parseIdClaim).has('tenant-1'));
  await api.patch(HOST_REPORTS, 'n2', { status: { leases: [] } });
  await settle(api);
  await addPod(api, 'e', 'p');
  await settle(api);
  assert.equal(tenants(api).get('e')?.id, 1);
});

void test('R33: assign frees nothing while a report cannot be read, and announces a bounded number of releases', async () => {
  const api = await makeApi();
  await addPod(api, 'a', 'p');
  await settle(api);
  const [claim] = api.state().claims.values();
  assert.ok(claim);
  const released = Array.from({ length: 300 }, (_, i) => ({ ...claim, id: 300 - i, released: true }));
  const claims = new Map(released.map((each) => [`tenant-${each.id}`, each]));
  const free = (agentsReadable: boolean) =>
    advanceReleases({ ...api.state(), claims, agentsReadable }, 0).filter(({ kind }) => kind === 'delete-claim').length;
  assert.deepEqual([free(true), free(false)], [300, 0]);
  const { network } = api.state();
  assert.ok(network);
  assert.equal(pendingReleases(network, { ...api.state(), claims }).length, 256);
});

void test('R33: assign gives no tenant or segment id that an agent reports, although nothing says whose it is', async () => {
  const api = await makeApi();
  const leases = [
    { tenant: 1, segment: 0, count: 1 },
    { tenant: 2, segment: 1, count: 1 },
  ];
  await api.create(HOST_REPORTS, { metadata: { name: 'n1' }, status: { leases } });
  await addPod(api, 'a', 'p', { segment: 's' });
  await settle(api);
  assert.equal(tenants(api).get('a')?.id, 3);
});

void test('assign makes the Tenant of a namespace anew that was deleted and made again under the same name', async () => {
  const api = await makeApi();
  await addPod(api, 'a', 'p');
  await addNode(api, 'n1');
  await settle(api);
  for (const act of ['delete', 'create'] as const) {
    if (act === 'create') await addPod(api, 'a', 'p');
    else await api.delete(PODS, 'p', { namespace: 'a' }).then(() => api.delete(NAMESPACES, 'a'));
  }
  await settle(api);
  assert.equal(tenants(api).get('a')?.id, 2);
});

void test('assign changes nothing that hangs on objects that cannot be read', async () => {
  const api = await makeApi();
  await addNode(api, 'n1');
  await addPod(api, 'a', 'p');
  await settle(api);
  const state = { ...api.state(), nodes: new Map(), namespaces: new Map(), unreadable: new Set(['n1', 'a']) };
  assert.deepEqual(assign(state).actions, []);
});
