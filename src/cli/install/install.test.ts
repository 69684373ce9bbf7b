import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { ApiError, type KubeClient } from '../../kube/client.ts';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import { err, ok } from '../../lib/result.ts';
import type { JsonObject } from '../../objects/field.ts';
import { HOSTS, NETWORKS, NODES, type Resource, TENANTS } from '../../objects/resources.ts';
import { readDeployManifests } from './deploy-manifests.ts';
import { type InstallArguments, installCommand } from './install.ts';

const manifests = await readDeployManifests(fileURLToPath(new URL('../../../deploy', import.meta.url)));
const DEFAULTS: InstallArguments = {
  plans: [],
  families: undefined,
  segmentLabel: undefined,
  reservedCIDRs: [],
  mtu: undefined,
  masquerade: undefined,
  masqueradeExclude: undefined,
  apiServer: undefined,
  image: undefined,
  imagePullPolicy: undefined,
  demo: false,
  offline: false,
  output: 'yaml',
};
const PLAN4 = { cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 };
const SERVICE_CIDRS = { ...NODES, group: 'networking.k8s.io', plural: 'servicecidrs', kind: 'ServiceCIDR' };

interface Outcome {
  readonly status: number;
  readonly objects: readonly JsonObject[];
  readonly said: string;
  /** The spec of the Network that the controller is to make. */
  readonly spec: Record<string, unknown>;
}

async function install(words: Partial<InstallArguments>, client?: KubeClient): Promise<Outcome> {
  let stdout = '';
  let said = '';
  const status = await installCommand(
    { ...DEFAULTS, ...words },
    {
      connect: async () => (client === undefined ? err('no cluster found') : ok({ client, describe: 'a cluster' })),
      manifests: async () => manifests,
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: (text: string) => (said += text) },
    },
  );
  const documents = parseAllDocuments(stdout);
  const objects = 'empty' in documents ? [] : documents.map((document) => document.toJS() as JsonObject);
  const config = objects.find(({ kind }) => kind === 'ConfigMap') as { data: Record<string, string> } | undefined;
  const network = parse(config?.data['network.yaml'] ?? '{}') as { spec?: Record<string, unknown> };
  return { status, objects, said, spec: network.spec ?? {} };
}

/** A cluster without Romana, as an API server that does not know its kinds. */
function plainCluster(): FakeKubeClient {
  const client = new FakeKubeClient();
  client.fail = ({ resource: { group } }) =>
    group === 'romana.io' ? new ApiError({ status: 404, message: 'the server could not find it' }) : undefined;
  return client;
}

async function addNode(client: FakeKubeClient, name: string, ...addresses: readonly string[]): Promise<void> {
  const status = { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) };
  await client.create(NODES, { metadata: { name }, status });
  await client.patch(NODES, name, { status }, { subresource: 'status' });
}

const addServiceCIDR = (client: FakeKubeClient, ...cidrs: readonly string[]): Promise<unknown> =>
  client.create(SERVICE_CIDRS, { metadata: { name: 'kubernetes' }, spec: { cidrs } });

/** A cluster that has Romana, and one host. */
async function romanaCluster(spec: object, host: { id: number; ranges: readonly string[] }): Promise<FakeKubeClient> {
  const client = new FakeKubeClient();
  await client.create(NETWORKS, { metadata: { name: 'default' }, spec });
  await client.create(HOSTS, { metadata: { name: 'n1' }, spec: host });
  await addNode(client, 'n1', '192.168.99.11');
  return client;
}

test('installCommand without options and cluster prints what deploy/base holds, and says that nothing was looked at', async () => {
  for (const [words, said] of [
    [{ offline: true }, 'looks at no cluster, as asked'],
    [{}, 'no cluster found: what services and nodes have is not reserved'],
  ] as const) {
    const outcome = await install(words);
    assert.equal(outcome.status, 0);
    assert.deepEqual(outcome.objects, manifests.base);
    assert.ok(outcome.said.includes(said), outcome.said);
    assert.match(outcome.said, /room for 256 hosts, of 256 ids\n/);
    assert.match(outcome.said, /plan 10\.0\.0\.0\/8:8,4,4,8: 15 tenants of 15 segments each, 252 endpoints/);
  }
});

test('installCommand prints a List for -o json', async () => {
  let stdout = '';
  const sink = { write: (text: string) => (stdout += text) };
  const deps = { connect: async () => err(''), manifests: async () => manifests, stdout: sink, stderr: { write() {} } };
  await installCommand({ ...DEFAULTS, output: 'json', demo: true }, deps);
  const list = JSON.parse(stdout) as { kind: string; items: unknown[] };
  assert.equal(list.kind, 'List');
  assert.deepEqual(list.items, [...manifests.base, ...manifests.demo]);
});

test('installCommand prints what YAML 1.1 reads, as kubectl does: "on" is a text', async () => {
  let stdout = '';
  const sink = { write: (text: string) => (stdout += text) };
  const deps = { connect: async () => err(''), manifests: async () => manifests, stdout: sink, stderr: { write() {} } };
  await installCommand({ ...DEFAULTS, demo: true }, deps);
  const documents = parseAllDocuments(stdout, { version: '1.1' });
  const objects = 'empty' in documents ? [] : documents.map((document): unknown => document.toJS());
  assert.deepEqual(objects, [...manifests.base, ...manifests.demo]);
});

test('installCommand reserves what the cluster has for services and nodes, and says which host ids that takes', async () => {
  const client = plainCluster();
  await addServiceCIDR(client, '10.96.0.0/15', 'fd96::/112');
  for (const n of [1, 2]) await addNode(client, `n${n}`, `10.3.0.${n}`, `fd00:99::${n}`);
  const { status, said, spec } = await install({ reservedCIDRs: ['10.5.0.0/24'] }, client);
  assert.equal(status, 0, said);
  assert.deepEqual(spec['reservedCIDRs'], ['10.5.0.0/24', '10.96.0.0/15', 'fd96::/112', '10.3.0.0/16']);
  assert.match(said, /^romana: 10\.96\.0\.0\/15 \(services\) takes host ids 96-97$/m);
  assert.match(said, /^romana: fd96::\/112 \(services\) takes no host id$/m);
  assert.match(said, /^romana: 10\.3\.0\.0\/16 \(addresses of 2 nodes\) takes host id 3$/m);
  assert.match(said, /^romana: 10\.5\.0\.0\/24 \(as asked\) takes host id 5$/m);
  assert.match(said, /room for 252 hosts, of 256 ids/);
});

test('installCommand finds the range of services of a cluster without ServiceCIDRs by what it refuses', async () => {
  const client = plainCluster();
  const known = client.fail;
  client.fail = (call) =>
    call.resource.plural === 'servicecidrs' ? new ApiError({ status: 404, message: 'unknown' }) : known(call);
  const asked: string[] = [];
  client.raw = async (_method: string, path: string, body?: object) => {
    asked.push(path);
    const { clusterIP } = (body as { spec: { clusterIP: string } }).spec;
    const message = `spec.clusterIPs: Invalid value: ["${clusterIP}"]: provided IP is not in the valid range. The range of valid IPs is 10.112.0.0/12`;
    throw new ApiError({ status: 422, message: clusterIP === '::1' ? 'IPv6 is not configured' : message });
  };
  const { said, spec } = await install({}, client);
  assert.deepEqual(spec['reservedCIDRs'], ['10.112.0.0/12']);
  assert.ok(asked.every((path) => path.endsWith('?dryRun=All')));
  assert.match(said, /10\.112\.0\.0\/12 \(services\) takes host ids 112-127/);
});

test('installCommand gives pods the families that all nodes have, or those that were asked for', async () => {
  const client = plainCluster();
  await addNode(client, 'n1', '192.168.0.1', 'fd00:99::1');
  await addNode(client, 'n2', '192.168.0.2');
  const cidrs = async (words: Partial<InstallArguments>): Promise<readonly string[]> =>
    ((await install(words, client)).spec['plans'] as readonly { cidr: string }[]).map(({ cidr }) => cidr);
  assert.deepEqual(await cidrs({}), ['10.0.0.0/8']);
  assert.deepEqual(await cidrs({ families: '6' }), ['fd00:10::/64']);
  assert.deepEqual(await cidrs({ families: '4,6' }), ['10.0.0.0/8', 'fd00:10::/64']);
  assert.deepEqual(await cidrs({ plans: ['fd01::/64:16,16,16,16'] }), ['10.0.0.0/8', 'fd01::/64']);
});

test('installCommand keeps what the cluster has and was not asked to change, and prints its Network', async () => {
  const before = { plans: [PLAN4], segmentLabel: 'role', reservedCIDRs: ['10.9.0.0/16'], mtu: 1400 };
  const client = await romanaCluster(before, { id: 1, ranges: ['10.1.0.0/16'] });
  await client.create(TENANTS, { metadata: { name: 'a' }, status: { id: 1 } });
  const { status, objects, said, spec } = await install({ masquerade: false }, client);
  assert.equal(status, 0, said);
  assert.deepEqual(spec, { ...before, masquerade: { enabled: false, excludeCIDRs: [] } });
  assert.deepEqual(objects.at(-1), {
    apiVersion: 'romana.io/v1',
    kind: 'Network',
    metadata: { name: 'default' },
    spec,
  });
  assert.match(said, /10\.9\.0\.0\/16 \(as before\) takes host id 9/);
  assert.match(said, /room for 254 more hosts, of 256 ids/);
});

const before = { plans: [PLAN4], segmentLabel: 'segment' };
const host = { id: 1, ranges: ['10.1.0.0/16'] };
for (const [what, words, said] of [
  ['a reserved CIDR that a host has', { reservedCIDRs: ['10.1.4.0/24'] }, /host n1 has id 1, and its pods have/],
  ['another plan', { plans: ['172.16.0.0/12:4,4,4,8'] }, /plan cannot change while hosts hold it: host n1 \(id 1\)/],
  [
    'other widths',
    { plans: ['10.0.0.0/8:8,6,2,8'] },
    /segment label cannot change from 10.*8,4,4,8 by label segment to 10.*8,6,2,8 by label segment while/,
  ],
  ['another family', { families: '4,6' }, /plan cannot change while hosts hold it/],
  [
    'another segment label',
    { segmentLabel: 'role' },
    /cannot change from .* by label segment to .* by label role while/,
  ],
] as const) {
  test(`installCommand refuses ${what} while there are hosts, and prints nothing`, async () => {
    const client = await romanaCluster(before, host);
    const outcome = await install(words, client);
    assert.equal(outcome.status, 1, outcome.said);
    assert.match(outcome.said, said);
    assert.deepEqual(outcome.objects, []);
  });
}

for (const [what, words, said, status] of [
  ['reserved CIDRs that take all host ids', { reservedCIDRs: ['10.0.0.0/8'] }, /take all host ids of the plans/, 1],
  ['a plan that does not add up', { plans: ['10.0.0.0/8:8,4,4,9'] }, /8 \+ 8 \+ 4 \+ 4 \+ 9 = 33/, 2],
  ['families that there are none of', { families: '5' }, /--families 5: it is 4, 6 or 4,6/, 2],
  ['a CIDR that is none', { reservedCIDRs: ['10.0.0.1/8'] }, /--reserved-cidr 10\.0\.0\.1\/8: .* would be 10/, 2],
  ['a CIDR to exclude that is none', { masqueradeExclude: ['x'] }, /--masquerade-exclude x: /, 2],
  ['an MTU that IPv6 cannot have', { mtu: '1279' }, /--mtu 1279: it is a number of bytes from 1280 to 65535/, 2],
  ['a label that is none', { segmentLabel: 'a b' }, /spec\.segmentLabel: .*"a b"/, 2],
  ['an API server that is none', { apiServer: 'http://x' }, /--api-server http:\/\/x: it is written as https/, 2],
] as const) {
  test(`installCommand refuses ${what}, and prints nothing`, async () => {
    const outcome = await install({ ...words, offline: true });
    assert.equal(outcome.status, status, outcome.said);
    assert.match(outcome.said, said);
    assert.deepEqual(outcome.objects, []);
  });
}

test('installCommand refuses where a cluster was found and does not answer, and says how to go without', async () => {
  const client = new FakeKubeClient();
  client.fail = (call: { readonly resource: Resource }) =>
    call.resource === NODES ? new ApiError({ status: 403, message: 'nodes is forbidden' }) : undefined;
  const outcome = await install({}, client);
  assert.equal(outcome.status, 1);
  assert.match(outcome.said, /could not look at that cluster: nodes is forbidden; --offline does without/);
});
