import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { encode, DEFAULT_PLANS, hostRange } from '../addr/plan.ts';
import { HttpKubeClient } from '../kube/http-client.ts';
import type { KubeClient } from '../kube/client.ts';
import { fixedToken } from '../kube/token.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { unwrap } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import { createApiServer } from '../local/apiserver/api-server.ts';
import { networkObject } from '../local/install-objects.ts';
import {
  DEMO_POLICIES,
  HOST_REPORTS,
  HOSTS,
  LEASES,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  TENANTS,
} from '../objects/resources.ts';
import { endpointsWatchCommand } from './endpoints-watch.ts';
import { endpointsCommand } from './endpoints.ts';
import { hostsCommand } from './hosts.ts';
import type { ListArguments, ListDependencies } from './listing.ts';
import { policiesCommand } from './policies.ts';
import { segmentsCommand } from './segments.ts';
import { statusCommand } from './status.ts';
import { tenantsCommand } from './tenants.ts';

const CRDS = resolve(import.meta.dirname, '../../deploy/crds');
const LEASE = { namespace: 'kube-system', namespaces: ['kube-system'], name: 'romana-controller' };

/** An embedded API server in memory, and a client to it; both end with the test. */
async function emptyCluster(t: TestContext, crds = true): Promise<KubeClient> {
  const server = createApiServer({
    storage: ':memory:',
    crds: crds
      ? readdirSync(CRDS)
          .filter((name) => name.endsWith('.yaml'))
          .map((name): unknown => parse(readFileSync(join(CRDS, name), 'utf8')))
      : [],
    tokens: [{ token: 'lists', user: 'system:romana' }],
    clock: systemClock,
    log: silentLog,
  });
  t.after(() => server.close());
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = new HttpKubeClient({ server: `http://127.0.0.1:${port}`, token: fixedToken('lists') });
  t.after(() => client.close());
  return client;
}

async function addNode(client: KubeClient, name: string, id: number): Promise<void> {
  await client.create(NODES, { metadata: { name } });
  const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' }];
  await client.patch(NODES, name, { status: { conditions } }, { subresource: 'status' });
  const ranges = DEFAULT_PLANS.map((plan) => hostRange(plan, id));
  await client.create(HOSTS, { metadata: { name }, spec: { id, ranges, addresses: [`192.168.99.${10 + id}`] } });
}

async function addReport(client: KubeClient, name: string, status: object): Promise<void> {
  await client.create(HOST_REPORTS, { metadata: { name } });
  await client.patch(HOST_REPORTS, name, { status }, { subresource: 'status' });
}

async function addPod(
  client: KubeClient,
  path: string,
  labels: Record<string, string>,
  fields: { readonly host: number; readonly tenant: number; readonly segment: number; readonly endpoint: number },
): Promise<void> {
  const [namespace = '', name = ''] = path.split('/');
  const spec = { nodeName: `minion${fields.host}`, containers: [{ name: 'web', image: 'nginx' }] };
  await client.create(PODS, { metadata: { name, labels }, spec }, namespace);
  const podIPs = DEFAULT_PLANS.map((plan) => ({ ip: unwrap(encode(plan, fields)) }));
  const status = { phase: 'Running', podIP: podIPs[0]?.ip, podIPs };
  await client.patch(PODS, name, { status }, { namespace, subresource: 'status' });
}

/** Two hosts, tenant-a with frontend and backend, isolated, and a policy. */
async function smallCluster(t: TestContext): Promise<KubeClient> {
  const client = await emptyCluster(t);
  await client.create(NETWORKS, networkObject(DEFAULT_PLANS));
  const accepted = { type: 'PlanAccepted', status: 'True', reason: 'Accepted', message: 'all is well' };
  const conditions = [{ ...accepted, lastTransitionTime: '2026-01-01T00:00:00Z' }];
  await client.patch(NETWORKS, 'default', { status: { hostIdsLeft: 250, conditions } }, { subresource: 'status' });
  await addNode(client, 'minion1', 1);
  await addNode(client, 'minion2', 2);
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'on' };
  await client.create(NAMESPACES, { metadata: { name: 'tenant-a', annotations } });
  await client.create(TENANTS, { metadata: { name: 'tenant-a' } });
  const segments = [
    { name: 'frontend', id: 1 },
    { name: 'backend', id: 2 },
  ];
  await client.patch(TENANTS, 'tenant-a', { status: { id: 1, segments } }, { subresource: 'status' });
  await addPod(client, 'tenant-a/front', { segment: 'frontend' }, { host: 1, tenant: 1, segment: 1, endpoint: 3 });
  await addPod(client, 'tenant-a/back', { segment: 'backend' }, { host: 2, tenant: 1, segment: 2, endpoint: 3 });
  for (const [name, segment] of [
    ['minion1', 1],
    ['minion2', 2],
  ] as const) {
    await addReport(client, name, { leases: [{ tenant: 1, segment, count: 2 }], use: { endpoints: 2, pool: 0 } });
  }
  const spec = {
    podSelector: { segment: 'backend' },
    allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
  };
  await client.create(DEMO_POLICIES, { metadata: { name: 'pol1' }, spec }, 'tenant-a');
  return client;
}

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function call(
  command: (args: ListArguments, deps: ListDependencies) => Promise<number>,
  client: KubeClient,
  args: Partial<ListArguments> = {},
): Promise<Outcome> {
  const out = { stdout: '', stderr: '' };
  const status = await command(
    { output: 'table', ...args },
    {
      connect: async () => client,
      stdout: { write: (text) => (out.stdout += text) },
      stderr: { write: (text) => (out.stderr += text) },
    },
  );
  return { status, ...out };
}

const status = (args: ListArguments, deps: ListDependencies): Promise<number> =>
  statusCommand(args, { ...deps, clock: systemClock, lease: LEASE });

void test('the lists show hosts, tenants, segments, endpoints and policies of a cluster as tables', async (t) => {
  const client = await smallCluster(t);
  const commands = [hostsCommand, tenantsCommand, segmentsCommand, endpointsCommand, policiesCommand];
  const outcomes = await Promise.all(commands.map((command) => call(command, client)));
  assert.deepEqual(
    outcomes.map(({ status, stderr }) => [status, stderr]),
    commands.map(() => [0, '']),
  );
  assert.equal(
    outcomes.map(({ stdout }) => stdout).join('\n'),
    `HOST   HOST NAME   READY   ADDRESSES       RANGES                           ENDPOINTS   POOL
1      minion1     yes     192.168.99.11   10.1.0.0/16 fd00:10:0:0:1::/80   2           0
2      minion2     yes     192.168.99.12   10.2.0.0/16 fd00:10:0:0:2::/80   2           0

TENANT   TENANT NAME   ISOLATED   SEGMENTS   POOL   ENDPOINTS
1        tenant-a      yes        2          -      4 (minion1: 2, minion2: 2)

TENANT   TENANT NAME   SEGMENT   SEGMENT NAME   POOL   ENDPOINTS
1        tenant-a      0         -              -      0
1        tenant-a      1         frontend       -      2 (minion1: 2)
1        tenant-a      2         backend        -      2 (minion2: 2)

ADDRESS            POD              HOST          TENANT   SEGMENT   SEGMENT NAME   ENDPOINT
10.2.18.3          tenant-a/back    2 (minion2)   1        2         backend        3
fd00:10::2:1:2:3   tenant-a/back    2 (minion2)   1        2         backend        3
10.1.17.3          tenant-a/front   1 (minion1)   1        1         frontend       3
fd00:10::1:1:1:3   tenant-a/front   1 (minion1)   1        1         frontend       3

TENANT NAME   POLICY   SOURCE   ISOLATED   RULES
tenant-a      pol1     demo     yes        TCP/80 of segment=backend to segment=frontend
`,
  );
});

void test('endpointsCommand -o json names the fields as romana ip does, -n selects a namespace', async (t) => {
  const client = await smallCluster(t);
  const outcome = await call(endpointsCommand, client, { output: 'json', namespace: 'tenant-a' });
  assert.deepEqual((JSON.parse(outcome.stdout) as unknown[])[0], {
    address: '10.2.18.3',
    family: 4,
    host: 2,
    hostName: 'minion2',
    tenant: 1,
    tenantName: 'tenant-a',
    segment: 2,
    segmentName: 'backend',
    endpoint: 3,
    pod: 'back',
  });
  assert.equal((await call(endpointsCommand, client, { output: 'json', namespace: 'default' })).stdout, '[]\n');
});

void test('endpointsWatchCommand shows what is there, then what changes, until its signal', async (t) => {
  const client = await smallCluster(t);
  const abort = new AbortController();
  let stdout = '';
  const watching = endpointsWatchCommand(
    { output: 'json', namespace: 'tenant-a' },
    {
      connect: async () => client,
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => assert.fail(text) },
      clock: systemClock,
      signal: abort.signal,
    },
  );
  try {
    const events = (): string[] =>
      stdout
        .split('\n')
        .filter((text) => text !== '')
        .map((text) => JSON.parse(text) as Record<string, unknown>)
        .map((event) => `${String(event['event'])} ${String(event['address'])} ${String(event['segmentName'])}`);
    await waitFor('the endpoints that are there', () => events().length === 4);
    const fields = { host: 1, tenant: 1, segment: 3, endpoint: 4 };
    await addPod(client, 'tenant-a/more', { segment: 'batch' }, fields);
    await waitFor('a new pod', () => events().includes('ADDED 10.1.19.4 undefined'));
    const segments = [{ name: 'batch', id: 3 }];
    await client.patch(TENANTS, 'tenant-a', { status: { segments } }, { subresource: 'status' });
    await waitFor('its segment', () => events().includes('CHANGED 10.1.19.4 batch'));
    await client.delete(PODS, 'more', { namespace: 'tenant-a', gracePeriodSeconds: 0 });
    await waitFor('its end', () => events().includes('GONE 10.1.19.4 batch'));
  } finally {
    abort.abort();
    assert.equal(await watching, 0);
  }
});

void test('statusCommand is 0 in a cluster that is well, 1 with a line for each thing that is wrong', async (t) => {
  const client = await smallCluster(t);
  const spec = { holderIdentity: 'master_1', leaseDurationSeconds: 10, renewTime: new Date().toISOString() };
  const renewTime = spec.renewTime.replace('Z', '000Z');
  await client.create(LEASES, { metadata: { name: LEASE.name }, spec: { ...spec, renewTime } }, LEASE.namespace);
  const well = await call(status, client);
  assert.deepEqual([well.status, well.stderr], [0, '']);
  assert.match(well.stdout, /^controller +master_1 leads, lease renewed \d s ago\nhosts +2 of 2 ready$/m);
  assert.match(well.stdout, /^all is well$/m);

  await client.create(NODES, { metadata: { name: 'minion3' } });
  await client.delete(HOST_REPORTS, 'minion2');
  const bad = await call(status, client, { output: 'json' });
  assert.equal(bad.status, 1);
  const { findings, hosts } = JSON.parse(bad.stdout) as { findings: { about: string }[]; hosts: unknown };
  assert.deepEqual(hosts, { total: 3, ready: 2 });
  assert.deepEqual(
    findings.map(({ about }) => about),
    ['Node/minion3', 'Node/minion3', 'HostReport/minion2'],
  );
});

void test('the lists and the status say that Romana is not installed, and are 1', async (t) => {
  const client = await emptyCluster(t, false);
  for (const command of [hostsCommand, tenantsCommand, segmentsCommand, endpointsCommand, policiesCommand, status]) {
    const outcome = await call(command, client);
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /^romana: the cluster has no .*: Romana is not installed there\n$/);
    assert.equal(outcome.stdout, '');
  }
});
