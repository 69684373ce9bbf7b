import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { isJsonObject } from '../objects/field.ts';
import { DEMO_POLICIES, NAMESPACES, PODS } from '../objects/resources.ts';
import { applyCommand, type ApplyArguments, deleteCommand } from './apply.ts';

const POL1 = `{
"metadata": { "name" : "pol1" },
"apiVersion" : "romana.io/demo/v1",
"kind" : "NetworkPolicy",
"spec" : {
\t"podSelector" : { "segment" : "backend" },
\t"allowIncoming" : {
\t\t"toPorts" : [ { "port": 80, "protocol": "TCP" } ],
\t\t"from" : [ { "pods" : { "segment" : "frontend" } } ]
\t}
}
}`;

const TENANT = `
apiVersion: v1
kind: Namespace
metadata:
  name: tenant-a
  labels:
    name: tenant-a
  annotations:
    net.alpha.kubernetes.io/network-isolation: "on"
`;

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function call(
  command: typeof applyCommand,
  client: FakeKubeClient,
  args: Partial<ApplyArguments>,
  stdin = '',
): Promise<Outcome> {
  const out = { stdout: '', stderr: '' };
  const status = await command(
    { files: ['-'], ...args },
    {
      connect: async () => client,
      stdin: Readable.from([stdin]),
      stdout: { write: (text) => (out.stdout += text) },
      stderr: { write: (text) => (out.stderr += text) },
      clock: new FakeClock(),
    },
  );
  return { status, ...out };
}

async function specOf(client: FakeKubeClient, name: string, namespace: string): Promise<unknown> {
  const stored = await client.get(DEMO_POLICIES, name, namespace);
  return isJsonObject(stored) ? stored['spec'] : undefined;
}

function changes(client: FakeKubeClient): string[] {
  return client.calls.filter((c) => !['get', 'list'].includes(c.verb)).map((c) => `${c.verb} ${c.key}`);
}

async function files(t: TestContext, texts: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'romana-apply-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
  return folder;
}

void test('applyCommand creates the policy of 2016 in today’s form, in the namespace of -n', async () => {
  const client = new FakeKubeClient();
  const done = await call(applyCommand, client, { namespace: 'tenant-a' }, POL1);
  assert.deepEqual(done, { status: 0, stdout: 'networkpolicy.demo.romana.io/pol1 created\n', stderr: '' });
  assert.deepEqual(await specOf(client, 'pol1', 'tenant-a'), {
    podSelector: { segment: 'backend' },
    allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
  });
  const again = await call(applyCommand, client, { namespace: 'tenant-a' }, POL1);
  assert.equal(again.stdout, 'networkpolicy.demo.romana.io/pol1 unchanged\n');
});

void test('applyCommand takes the spelling groupVersion too', async () => {
  const client = new FakeKubeClient();
  const done = await call(applyCommand, client, {}, POL1.replace('apiVersion', 'groupVersion'));
  assert.equal(done.status, 0);
  assert.notEqual(await specOf(client, 'pol1', 'default'), undefined);
});

void test('applyCommand removes from a policy what its file has no longer, also if another tool made it', async () => {
  const client = new FakeKubeClient();
  const allowIncoming = { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] };
  const metadata = { name: 'pol1', namespace: 'tenant-a' };
  await client.create(DEMO_POLICIES, { metadata, spec: { podSelector: { segment: 'backend' }, allowIncoming } });
  const edited = POL1.replace(/"toPorts".*\],\n/, '');
  const done = await call(applyCommand, client, { namespace: 'tenant-a' }, edited);
  assert.equal(done.stdout, 'networkpolicy.demo.romana.io/pol1 configured\n');
  assert.deepEqual(await specOf(client, 'pol1', 'tenant-a'), {
    podSelector: { segment: 'backend' },
    allowIncoming: { from: [{ pods: { segment: 'frontend' } }] },
  });
});

void test('applyCommand takes documents of YAML, lists, and files of a directory in order', async (t) => {
  const client = new FakeKubeClient();
  const list = {
    apiVersion: 'v1',
    kind: 'List',
    items: [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'c' } }],
  };
  const folder = await files(t, {
    '2.json': JSON.stringify(list),
    '1.yaml': `---\n${TENANT}---\n${TENANT.replaceAll('tenant-a', 'tenant-b')}`,
    'README.md': 'no manifest',
  });
  const done = await call(applyCommand, client, { files: [folder] });
  assert.equal(done.stdout, 'namespace/tenant-a created\nnamespace/tenant-b created\nnamespace/c created\n');
});

void test('applyCommand removes an annotation that it set before, and keeps one that others set', async () => {
  const client = new FakeKubeClient();
  await call(applyCommand, client, {}, TENANT);
  await client.patch(NAMESPACES, 'tenant-a', { metadata: { annotations: { other: 'x' } } });
  const done = await call(applyCommand, client, {}, TENANT.replace(/ {2}annotations:[^]*$/, ''));
  assert.equal(done.stdout, 'namespace/tenant-a configured\n');
  const stored = await client.get(NAMESPACES, 'tenant-a');
  const annotations = JSON.stringify(stored);
  assert.ok(!/"net\.alpha[^"]*":"on"/.test(annotations), annotations);
  assert.match(annotations, /"other":"x"/);
});

void test('applyCommand changes nothing when one document is bad, and names file, document and field', async (t) => {
  const bad = POL1.replace('"port": 80', '"port": 80000');
  const folder = await files(t, { 'two.yaml': `${TENANT}---\n${bad.replaceAll('\t', ' ')}` });
  const client = new FakeKubeClient();
  const done = await call(applyCommand, client, { files: [join(folder, 'two.yaml')] });
  assert.equal(done.status, 2);
  assert.match(done.stderr, /two\.yaml, document 2: spec\.allowIncoming\.toPorts\[0\]\.port: [^\n]*80000[^\n]*\n$/);
  assert.deepEqual([done.stdout, client.calls], ['', []]);
});

void test('applyCommand refuses bad input with status 2 and one line', async () => {
  const pod = 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  namespace: other\nspec:\n  containers: []\n';
  const table: [string, RegExp][] = [
    ['a: [', /standard input: .*line 1/],
    ['{"a": 1,}', /standard input: /],
    ['just words', /standard input: must be an object, found/],
    ['kind: Pod', /apiVersion: is required; metadata\.name: is required/],
    ['a: 1\na: 2', /standard input: .*unique.*line 2/],
    ['# nothing', /no object found/],
    [pod, /metadata\.namespace: is other, but -n says tenant-a/],
    ['apiVersion: v1\nkind: Unheard\nmetadata: {name: x}', /the cluster serves no Unheard of v1/],
    [TENANT.replace('"on"', '"perhaps"'), /metadata\.annotations\[net\.alpha\.kubernetes\.io\/network-isolation\]: /],
  ];
  for (const [text, message] of table) {
    const client = new FakeKubeClient();
    const done = await call(applyCommand, client, { namespace: 'tenant-a' }, text);
    assert.equal(done.status, 2, text);
    assert.match(done.stderr, message);
    assert.equal(done.stderr.split('\n').length, 2, done.stderr);
    assert.deepEqual(changes(client), []);
  }
  const missing = await call(applyCommand, new FakeKubeClient(), { files: ['/nowhere/x.yaml'] });
  assert.match(missing.stderr, /^romana: \/nowhere\/x\.yaml: cannot be read: ENOENT/);
});

void test('applyCommand refuses a NetworkPolicy of extensions/v1beta1 and shows the v1 form', async () => {
  const text = 'apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: old}\nspec: {podSelector: {}}';
  const done = await call(applyCommand, new FakeKubeClient(), {}, text);
  assert.equal(done.status, 2);
  assert.match(done.stderr, /extensions\/v1beta1 is refused/);
  assert.match(done.stderr, /apiVersion: networking\.k8s\.io\/v1/);
});

void test('applyCommand goes on after a refusal of the server, and ends with status 1', async () => {
  const client = new FakeKubeClient();
  client.fail = (c) => (c.key === 'tenant-a' && c.verb === 'create' ? new Error('no more room') : undefined);
  const done = await call(applyCommand, client, {}, `${TENANT}---${TENANT.replaceAll('tenant-a', 'tenant-b')}`);
  assert.equal(done.status, 1);
  assert.equal(done.stdout, 'namespace/tenant-b created\n');
  assert.equal(done.stderr, 'romana: standard input, document 1: namespace/tenant-a: no more room\n');
});

void test('deleteCommand deletes what the files name and says what is not there', async () => {
  const client = new FakeKubeClient();
  await client.create(PODS, { metadata: { name: 'p', namespace: 'tenant-a' } });
  await call(applyCommand, client, { namespace: 'tenant-a' }, POL1);
  const first = await call(deleteCommand, client, { namespace: 'tenant-a' }, POL1);
  assert.deepEqual(first, { status: 0, stdout: 'networkpolicy.demo.romana.io/pol1 deleted\n', stderr: '' });
  const second = await call(deleteCommand, client, { namespace: 'tenant-a' }, POL1);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /networkpolicy\.demo\.romana\.io\/pol1: .*not found/);
  assert.equal(client.store.all(PODS).length, 1);
});
