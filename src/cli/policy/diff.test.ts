import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffCommand, type DiffArguments } from './diff.ts';
import { filesOf, runCommand, type Ran } from './test-run.ts';

const PODS =
  'apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: x, labels: {app: b}}\n';

function policy(spec: string, name = 'p'): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: x}\nspec: ${spec}\n`;
}

const DENY_B = policy('{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}');
const ALLOW_80 = policy(
  '{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}',
);

function diff(args: Partial<DiffArguments>, stdin = ''): Promise<Ran> {
  const base = { files: [], base: [], delete: [], output: 'text' } as const;
  return runCommand((deps) => diffCommand({ ...base, ...args }, deps), { stdin });
}

test('diff has status 1 when a change opens anything, and shows what', async (t) => {
  const [world = '', allow = ''] = filesOf(t, { 'world.yaml': `${PODS}---\n${DENY_B}`, 'new.yaml': ALLOW_80 });
  const ran = await diff({ base: [world], files: [allow] });
  assert.deepEqual(ran, { status: 1, stdout: 'opens x/a -> x/b: TCP/80\n1 pairs open, 0 close\n', stderr: '' });
  const json = await diff({ base: [world], files: [allow], output: 'json' });
  assert.deepEqual(JSON.parse(json.stdout), { opens: [{ from: 'x/a', to: 'x/b', ports: ['TCP/80'] }], closes: [] });
  const other = await diff({ base: [world], files: [allow], ports: 'TCP/81' });
  assert.deepEqual([other.status, other.stdout], [0, '0 pairs open, 0 close\n']);
});

test('diff has status 0 when a change only closes, and takes one of -f and --base from standard input', async (t) => {
  const [world = ''] = filesOf(t, { 'world.yaml': PODS });
  const ran = await diff({ base: [world], files: ['-'], ports: 'TCP/80,ICMP' }, DENY_B);
  assert.equal(ran.status, 0);
  assert.match(ran.stdout, /^closes x\/a -> x\/b: TCP\/80, ICMP$/m);
  assert.match(ran.stdout, /^closes outside \(IPv4\) -> x\/b: TCP\/80, ICMP$/m);
});

test('diff removes what --delete names, a namespace with what is in it', async (t) => {
  const [world = ''] = filesOf(t, { 'world.yaml': `${PODS}---\n${DENY_B}` });
  const ran = await diff({ base: [world], delete: ['NetworkPolicy/x/p'], ports: 'TCP/1' });
  assert.equal(ran.status, 1);
  assert.match(ran.stdout, /^opens x\/a -> x\/b: TCP\/1$/m);
  const [more = ''] = filesOf(t, { 'ns.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n' });
  const gone = await diff({ base: [world, more], delete: ['Namespace/x'] });
  assert.deepEqual([gone.status, gone.stdout], [0, '0 pairs open, 0 close\n']);
});

test('diff has status 2 for input that is bad', async (t) => {
  const [world = '', bad = ''] = filesOf(t, { 'world.yaml': PODS, 'bad.yaml': policy('{ingress: 1}') });
  const table: readonly (readonly [Partial<DiffArguments>, RegExp])[] = [
    [{ base: [world] }, /say what changes: -f or --delete/],
    [{ base: [world], files: [bad] }, /bad\.yaml: spec\.ingress: must be a list, found 1/],
    [
      { base: [world], delete: ['NetworkPolicy/x/none'] },
      /--delete NetworkPolicy\/x\/none: there is no NetworkPolicy x\/none/,
    ],
    [{ base: [world], delete: ['Secret/x/a'] }, /KIND must be one of Namespace, Node, Pod/],
    [{ base: ['-'], files: ['-'] }, /only one of -f and --base can be -/],
    [{ files: [world] }, /no cluster was found/],
  ];
  for (const [args, message] of table) {
    const ran = await diff(args, PODS);
    assert.deepEqual([ran.status, ran.stdout], [2, '']);
    assert.match(ran.stderr, message);
  }
});
