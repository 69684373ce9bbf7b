import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { matrixCommand, type MatrixArguments } from './matrix.ts';
import { filesOf, runCommand, type Ran } from './test-run.ts';

function matrix(files: readonly string[], more: Partial<MatrixArguments> = {}, stdin = ''): Promise<Ran> {
  return runCommand((deps) => matrixCommand({ files, output: 'json', ...more }, deps), { stdin });
}

function pod(name: string, more: { spec?: object; status?: object; labels?: object } = {}): object {
  const [namespace, own] = name.split('/');
  const { spec = {}, status, labels = {} } = more;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name: own, labels },
    spec,
    ...(status === undefined ? {} : { status }),
  };
}

function port(number: number, name?: string, protocol = 'TCP'): object {
  return {
    containers: [{ name: 'c', ports: [{ containerPort: number, protocol, ...(name === undefined ? {} : { name }) }] }],
  };
}

function list(...items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** More of a pod on the network of n1. */
function onHost(podIP: string): { spec: object; status: object } {
  return { spec: { nodeName: 'n1', hostNetwork: true }, status: { phase: 'Running', podIP } };
}

function node(name: string, address: string): object {
  const status = { addresses: [{ type: 'InternalIP', address }] };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, status };
}

const DENY = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace: 'y', name: 'deny' },
  spec: {},
};

test('matrix prints endpoints by namespace, then name, and one string a source', async (t) => {
  const files = filesOf(t, {
    'world.json': list(
      pod('y-2/a', { spec: port(53, 'dns', 'UDP') }),
      pod('y/b', { spec: port(443) }),
      pod('y/a', { spec: port(80) }),
      pod('y/done', { status: { phase: 'Succeeded' } }),
      pod('y/waits', { status: { phase: 'Pending' } }),
      DENY,
    ),
  });
  const ran = await matrix(files);
  assert.equal(ran.status, 0);
  assert.equal(
    ran.stdout,
    '{"endpoints":["y/a","y/b","y-2/a"],"ports":["TCP/80","TCP/443","UDP/53"],"verdicts":{' +
      '"TCP/80":[".X.","X..","XX."],"TCP/443":[".X.","X..","XX."],"UDP/53":[".X.","X..","XX."]}}\n',
  );
});

test('matrix has X where a destination has no port of a name, and dots on the diagonal', async (t) => {
  const files = filesOf(t, {
    'world.json': list(pod('y/a', { spec: port(53, 'dns', 'UDP') }), pod('y/b'), pod('z/c')),
  });
  const { stdout } = await matrix(files, { ports: 'UDP/dns, TCP/dns,TCP/80,UDP/dns' });
  assert.deepEqual(JSON.parse(stdout), {
    endpoints: ['y/a', 'y/b', 'z/c'],
    ports: ['UDP/dns', 'TCP/dns', 'TCP/80'],
    verdicts: { 'UDP/dns': ['.XX', '..X', '.X.'], 'TCP/dns': ['.XX', 'X.X', 'XX.'], 'TCP/80': ['...', '...', '...'] },
  });
});

test('matrix has pods on the network of a host as that host: of its own pods it is let in, no policy selects it', async (t) => {
  const world = list(
    node('n1', '192.168.0.1'),
    node('n2', '192.168.0.2'),
    pod('sys/p1', { spec: { nodeName: 'n1', hostNetwork: true } }),
    pod('sys/p2', { spec: { nodeName: 'n2', hostNetwork: true } }),
    pod('y/a', { spec: { nodeName: 'n1' } }),
    { ...DENY, spec: { policyTypes: ['Ingress', 'Egress'] } },
    { ...DENY, metadata: { namespace: 'sys', name: 'deny' } },
  );
  const ran = await matrix(filesOf(t, { 'world.json': world }), { ports: 'TCP/10250' });
  assert.deepEqual(JSON.parse(ran.stdout), {
    endpoints: ['sys/p1', 'sys/p2', 'y/a'],
    ports: ['TCP/10250'],
    verdicts: { 'TCP/10250': ['...', '..X', '.X.'] },
  });
});

test("matrix has pods on a host's network under an address of their node, whatever they show", async (t) => {
  const addresses = ['192.168.0.1', '192.168.0.2'].map((address) => ({ type: 'InternalIP', address }));
  const from = [{ ipBlock: { cidr: '192.168.0.2/32' } }, { ipBlock: { cidr: '10.0.0.0/8' } }];
  const world = list(
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses } },
    pod('sys/a', onHost('192.168.0.1')),
    pod('sys/b', onHost('192.168.0.2')),
    pod('sys/c', onHost('10.0.0.1')),
    pod('y/a'),
    { ...DENY, spec: { ingress: [{ from }] } },
  );
  const ran = await matrix(filesOf(t, { 'world.json': world }), { ports: 'TCP/80' });
  const { verdicts } = JSON.parse(ran.stdout) as { verdicts: Record<string, string[]> };
  assert.deepEqual(verdicts['TCP/80'], ['...X', '....', '...X', '....']);
});

test('matrix refuses what can be neither the number nor the name of a port', async (t) => {
  const files = filesOf(t, { 'world.json': list(pod('x/a')) });
  for (const [ports, why] of Object.entries({
    'TCP/80-90': `"TCP/80-90": a port's name must contain at least one letter (a-z)`,
    'TCP/Web': `"TCP/Web": a port's name must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
    'TCP/0': '"TCP/0": ports are from 1 to 65535',
  })) {
    assert.deepEqual(await matrix(files, { ports }), { status: 2, stdout: '', stderr: `romana: ${why}\n` });
  }
});

test('matrix prints a table whose columns are numbered', async (t) => {
  const files = filesOf(t, { 'world.json': list(pod('x/a'), pod('y/a'), DENY) });
  const { stdout } = await matrix(files, { ports: 'TCP/80', output: 'table' });
  assert.equal(stdout, 'TCP/80: rows are sources, columns destinations\n      12\n1 x/a .X\n2 y/a ..\n');
});

test('matrix reads files, directories and standard input as one world', async (t) => {
  const [first = ''] = filesOf(t, { 'a.yaml': 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n' });
  const directory = join(dirname(first), 'more');
  mkdirSync(directory);
  writeFileSync(
    join(directory, 'b.yml'),
    'kind: Pod\napiVersion: v1\nmetadata:\n  name: b\n  namespace: x\n---\n# nothing\n',
  );
  writeFileSync(
    join(directory, 'c.json'),
    JSON.stringify({ kind: 'PodList', apiVersion: 'v1', items: [{ metadata: { name: 'c' } }] }),
  );
  writeFileSync(join(directory, 'ignored.txt'), 'no YAML: at: all');
  const ran = await matrix(
    [first, directory, '-'],
    { ports: 'TCP/1' },
    'kind: Pod\napiVersion: v1\nmetadata: {name: d, namespace: default}\n',
  );
  const { endpoints } = JSON.parse(ran.stdout) as { endpoints: string[] };
  assert.deepEqual(endpoints, ['default/a', 'default/c', 'default/d', 'x/b']);
});
