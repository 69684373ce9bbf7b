import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { test, type TestContext } from 'node:test';
import { matrixCommand } from './matrix.ts';
import { filesOf, runCommand, type Ran } from './test-run.ts';

async function read(t: TestContext, texts: Readonly<Record<string, string>>): Promise<Ran> {
  const files = filesOf(t, texts);
  const ran = await runCommand((deps) => matrixCommand({ files, output: 'json', ports: 'TCP/80' }, deps));
  const short = files.reduce((text, file) => text.replaceAll(file, basename(file)), ran.stderr);
  return { ...ran, stderr: short };
}

const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\n';
const V1 = 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: x}\n';
const DEMO = 'kind: NetworkPolicy\nmetadata: {name: p, namespace: x}\nspec: {podSelector: {}}\n';

test('offline input that an API server would refuse has status 2 and names file, document and field', async (t) => {
  const table: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [
      { 'a.yaml': `${POD}---\n${V1}spec: {ingress: [{ports: [{port: 70000}]}]}\n` },
      'a.yaml, document 2: spec.ingress[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
    [
      { 'a.yaml': POD.replace('name: a', 'name: A_b') },
      'a.yaml: metadata.name: must be a DNS subdomain (RFC 1123), found "A_b"',
    ],
    [
      { 'a.yaml': POD.replace('{name: a,', '{labels: {a: 1}, name: a,') },
      'a.yaml: metadata.labels[a]: must be a string, found 1',
    ],
    [
      { 'a.yaml': POD.replace('namespace: x', 'namespace: x.y') },
      'a.yaml: metadata.namespace: must be a DNS label (RFC 1123), found "x.y"',
    ],
    [
      { 'a.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: x.y}\n' },
      'a.yaml: metadata.name: must be a DNS label (RFC 1123), found "x.y"',
    ],
    [
      { 'a.yaml': `${POD}spec: {containers: [{ports: [{containerPort: 1, name: web_1}]}]}\n` },
      'a.yaml: spec.containers[0].ports[0].name: Invalid value: "web_1": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
    ],
    [
      {
        'a.yaml': `${POD}spec: {containers: [{ports: [{containerPort: 1, name: web}, {containerPort: 2, name: web}]}]}\n`,
      },
      'a.yaml: spec.containers[0].ports[1].name: Duplicate value: "web"',
    ],
    [
      {
        'a.yaml': 'apiVersion: v1\nkind: Node\nmetadata: {name: n}\n',
        'b.yaml': 'apiVersion: v1\nkind: Node\nmetadata: {name: n, namespace: x}\n',
      },
      'b.yaml: metadata.name: Node n is there twice, also in a.yaml',
    ],
    [{ 'a.yaml': 'kind: Pod\n' }, 'a.yaml: apiVersion: Required value'],
    [{ 'a.yaml': `${POD}---\n- b\n` }, 'a.yaml, document 2: must be an object, found a list'],
    [
      { 'a.json': `{"kind": "List", "apiVersion": "v1", "items": [1]}` },
      'a.json, items[0]: must be an object, found 1',
    ],
    [
      { 'a.yaml': `${POD}a: b: c\n` },
      'a.yaml: Nested mappings are not allowed in compact mappings at line 4, column 4',
    ],
    [{ 'a.yaml': POD, 'b.yaml': POD }, 'b.yaml: metadata.name: Pod x/a is there twice, also in a.yaml'],
    [
      { 'a.yaml': `apiVersion: demo.romana.io/v1\n${DEMO}`, 'b.yaml': `groupVersion: romana.io/demo/v1\n${DEMO}` },
      'b.yaml: metadata.name: demo NetworkPolicy x/p is there twice, also in a.yaml',
    ],
    [{ 'a.yaml': '# nothing\n' }, 'a.yaml: no object found'],
  ];
  for (const [texts, message] of table) {
    const ran = await read(t, texts);
    assert.deepEqual(ran, { status: 2, stdout: '', stderr: `romana: ${message}\n` });
  }
  const old = await read(t, { 'a.yaml': V1.replace('networking.k8s.io/v1', 'extensions/v1beta1') });
  assert.equal(old.status, 2);
  assert.match(old.stderr, /^romana: a\.yaml: NetworkPolicy p: extensions\/v1beta1 is refused/);
});

test('offline objects of other kinds are skipped with a line each, those of one name and other kinds are several', async (t) => {
  const ran = await read(t, {
    'a.yaml': `${POD}---\napiVersion: apps/v1\nkind: Deployment\n---\n${V1}---\napiVersion: demo.romana.io/v1\n${DEMO}`,
    'b.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n',
  });
  assert.equal(ran.status, 0);
  assert.equal(ran.stderr, 'romana: skips a.yaml, document 2: apps/v1 Deployment says nothing of policy\n');
});

test('R25: offline policies with fields that are not known fail closed, and a line says so', async (t) => {
  const other = POD.replace('name: a', 'name: b');
  const ran = await read(t, {
    'a.yaml': `${POD}---\n${other}---\n${V1}spec: {ingress: [{from: [{podSelecter: {}}]}]}\n`,
  });
  assert.deepEqual(JSON.parse(ran.stdout), {
    endpoints: ['x/a', 'x/b'],
    ports: ['TCP/80'],
    verdicts: { 'TCP/80': ['.X', 'X.'] },
  });
  assert.equal(
    ran.stderr,
    'romana: NetworkPolicy x/p: spec.ingress[0].from[0].podSelecter: unknown field: it fails closed\n',
  );
});

test('offline pods without an address are matched by no ipBlock but those of length 0', async (t) => {
  const other = POD.replace('name: a', 'name: b');
  const from = (cidr: string): string =>
    `${POD}---\n${other}---\n${V1}spec: {ingress: [{from: [{ipBlock: {cidr: ${cidr}}}]}]}\n`;
  const rows = async (cidr: string): Promise<unknown> =>
    (JSON.parse((await read(t, { 'a.yaml': from(cidr) })).stdout) as { verdicts: Record<string, unknown> }).verdicts[
      'TCP/80'
    ];
  assert.deepEqual(await rows('10.0.0.0/8'), ['.X', 'X.']);
  assert.deepEqual(await rows('0.0.0.0/0'), ['..', '..']);
});
