import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import { HOSTS, NAMESPACES, NETWORK_POLICIES, NODES, PODS } from '../../objects/resources.ts';
import { explainCommand, type ExplainArguments, type Explanation } from './explain.ts';
import { filesOf, runCommand, type Ran } from './test-run.ts';

const WORLD = `# A shop.
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: {app: web}
spec:
  nodeName: n1
  containers:
    - name: main
      ports: [{name: http, containerPort: 8080}]
status: {phase: Running, podIP: 10.1.0.3}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec:
  containers:
    - name: main
      ports:
        - {name: sql, containerPort: 5432}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - ports: [{port: 9187}]
    - from:
        - namespaceSelector: {matchLabels: {team: ops}}
        - podSelector:
            matchLabels: {app: web}
      ports:
        - port: sql
`;

async function explain(
  files: readonly string[],
  more: Partial<ExplainArguments> & { client?: FakeKubeClient } = {},
): Promise<Ran> {
  const { client, ...args } = more;
  const base = { files, from: 'shop/web', to: 'shop/db', port: 'TCP/5432', live: false, output: 'text' } as const;
  return runCommand((deps) => explainCommand({ ...base, ...args }, deps), client === undefined ? {} : { client });
}

async function json(files: readonly string[], more: Partial<ExplainArguments> = {}): Promise<Explanation> {
  return JSON.parse((await explain(files, { ...more, output: 'json' })).stdout) as Explanation;
}

function lineText(line: number | undefined, text = WORLD): string {
  return text.split('\n')[(line ?? 0) - 1]?.trim() ?? '';
}

test('explain says which line of which policy allows, and its JSON has verdict, tier, object, field, file and line', async (t) => {
  const files = filesOf(t, { 'shop.yaml': WORLD });
  const ran = await explain(files, { port: 'TCP/sql' });
  assert.equal(ran.status, 0);
  assert.equal(
    ran.stdout,
    [
      'allowed: shop/web to shop/db on TCP/5432',
      '  egress of shop/web: allowed: no policy says anything',
      `  ingress of shop/db: allowed by NetworkPolicy shop/db spec.ingress[1].from[1] in the NetworkPolicy tier (${files[0]}:33)`,
      'note: pod shop/db has no address: of CIDRs only those of length 0 match it',
      '',
    ].join('\n'),
  );
  const explanation = await json(files);
  assert.deepEqual(explanation, {
    verdict: 'allow',
    egress: { verdict: 'allow', tier: 'default', object: '', field: '' },
    ingress: {
      verdict: 'allow',
      tier: 'policy',
      object: 'NetworkPolicy shop/db',
      field: 'spec.ingress[1].from[1]',
      file: files[0],
      line: 33,
    },
    notes: ['pod shop/db has no address: of CIDRs only those of length 0 match it'],
  });
  assert.equal(lineText(explanation.ingress.line), '- podSelector:');
});

test('explain says who isolates, and the nearest miss first', async (t) => {
  const files = filesOf(t, { 'shop.yaml': WORLD });
  const ran = await explain(files, { port: 'TCP/80' });
  assert.equal(ran.status, 1);
  assert.equal(
    ran.stdout,
    [
      'denied: shop/web to shop/db on TCP/80',
      '  egress of shop/web: allowed: no policy says anything',
      `  ingress of shop/db: denied: isolated by NetworkPolicy shop/db (${files[0]}:27), allowed by none of:`,
      '    NetworkPolicy shop/db spec.ingress[0]: right peer, but TCP/80 is not among its ports (TCP/9187)',
      '    NetworkPolicy shop/db spec.ingress[1]: right peer, but TCP/80 is not among its ports (TCP/sql)',
      'note: pod shop/db has no address: of CIDRs only those of length 0 match it',
      '',
    ].join('\n'),
  );
  const { ingress } = await json(files, { port: 'TCP/80' });
  assert.deepEqual([ingress.tier, ingress.field, lineText(ingress.line)], ['isolation', 'spec', 'spec:']);
  assert.equal(ingress.near?.length, 2);
});

test('explain finds lines in JSON, in lists and in YAML that is not simple', async (t) => {
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'none', namespace: 'shop' },
    spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }] },
  };
  const list = JSON.stringify({ kind: 'List', apiVersion: 'v1', items: [policy] }, undefined, 2);
  const odd = WORLD.replace(
    'metadata: {name: db, namespace: shop}\n',
    'metadata: {name: db, namespace: shop, annotations: {a: "\\u0041"}}\n',
  );
  const files = filesOf(t, { 'list.json': list, 'odd.yaml': odd });
  const { egress, ingress } = await json(files);
  assert.deepEqual([egress.file, lineText(egress.line, list)], [files[0], '"spec": {']);
  assert.deepEqual([ingress.file, lineText(ingress.line, odd)], [files[1], '- podSelector:']);
  const outside = await json(files, { to: '192.0.2.7' });
  assert.equal(outside.egress.field, 'spec.egress[0].to[0]');
  assert.deepEqual([lineText(outside.egress.line, list), outside.ingress.tier], ['{', 'always']);
});

test('explain takes hosts and addresses for ends: a pod reaches its own host', async (t) => {
  const node =
    'apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {zone: a}}\nstatus: {addresses: [{type: InternalIP, address: 192.168.0.1}]}\n';
  const shut =
    '---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: shut, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Egress]}\n';
  const files = filesOf(t, { 'shop.yaml': WORLD, 'node.yaml': node + shut });
  const own = await json(files, { to: 'host:n1', port: 'TCP/22' });
  assert.deepEqual([own.verdict, own.egress.object], ['allow', 'Node n1']);
  assert.equal((await json(files, { to: '192.168.0.1', port: 'TCP/22' })).verdict, 'allow');
  assert.equal((await json(files, { to: '192.168.0.2', port: 'TCP/22' })).verdict, 'deny');
  assert.equal((await json(files, { from: 'host:n1', to: '10.1.0.3', port: 'ICMP' })).verdict, 'allow');
});

test('explain has status 2 for ends and ports that are none', async (t) => {
  const gone = WORLD.replace('phase: Running', 'phase: Succeeded');
  const files = filesOf(t, { 'shop.yaml': gone });
  const table: readonly (readonly [Partial<ExplainArguments>, RegExp])[] = [
    [{ from: 'shop/none' }, /there is no pod shop\/none/],
    [{ from: 'shop/web' }, /pod shop\/web does not run: it is Succeeded/],
    [{ from: 'shop' }, /"shop" is no NAMESPACE\/POD, host:NODE or address/],
    [{ from: 'host:n2' }, /there is no host n2/],
    [{ from: '1.2.3.4', port: '80' }, /"80" is no PROTOCOL\/PORT/],
    [{ from: '1.2.3.4', port: 'TCP/0' }, /"TCP\/0": ports are from 1 to 65535/],
    [{ from: '1.2.3.4', port: 'UDP/sql' }, /shop\/db has no container port UDP\/sql/],
  ];
  for (const [args, message] of table) {
    const ran = await explain(files, args);
    assert.deepEqual([ran.status, ran.stdout], [2, ''], JSON.stringify(args));
    assert.match(ran.stderr, message);
  }
});

test('explain without files asks the cluster, which may have no ClusterNetworkPolicies', async () => {
  const client = new FakeKubeClient();
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  for (const name of ['web', 'db']) {
    const metadata = { name, namespace: 'shop', labels: { app: name } };
    await client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec: {}, status: { phase: 'Running' } });
  }
  const metadata = { name: 'db', namespace: 'shop' };
  await client.create(NETWORK_POLICIES, { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata });
  const ran = await explain([], { client });
  assert.equal(ran.status, 1);
  assert.match(
    ran.stdout,
    /isolated by NetworkPolicy shop\/db, allowed by none of:\n {4}NetworkPolicy shop\/db: allows no ingress/,
  );
  await client.create(HOSTS, {
    apiVersion: 'romana.io/v1',
    kind: 'Host',
    metadata: { name: 'n1' },
    spec: { id: 1, ranges: ['10.1.0.0/16'], addresses: ['192.168.0.1'] },
  });
  await client.delete(NETWORK_POLICIES, 'db', { namespace: 'shop' });
  const stray = await explain([], { client, to: '10.1.0.9' });
  assert.deepEqual([stray.status, /range of a host, and no pod that is known has it/.test(stray.stdout)], [1, true]);
  assert.equal((await explain([], { client, to: '10.2.0.9' })).status, 0);
  const none = await explain([]);
  assert.deepEqual([none.status, none.stderr], [2, 'romana: no cluster was found\n']);
});
