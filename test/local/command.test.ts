import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { parseOwnKubeconfig } from '../../src/local/pki.ts';
import { clusterStatus } from '../../src/local/status.ts';
import { clusterLayout } from '../../src/local/cluster-layout.ts';
import { PODS } from '../../src/objects/resources.ts';
import { machineState } from './machine-state.ts';
import { CHECKOUT } from './test-cluster.ts';

const NAME = `rt-${process.pid}-cli`;
const skip = process.getuid?.() === 0 ? false : 'needs root';

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function local(...words: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(`${CHECKOUT}/bin/romana`, ['local', ...words], (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 255), stdout, stderr });
    });
    child.stdin?.end();
  });
}

test('romana local: up, status, kubeconfig, shell, exec, node and down, with everything real', { skip }, async (t) => {
  const before = await machineState(NAME);
  t.after(() => local('down', '--name', NAME));
  assert.equal((await local('status', '--name', NAME)).status, 1);
  const up = await local('up', '--name', NAME, '--minions', '1');
  assert.equal(up.status, 0, up.stderr);
  assert.match(up.stdout, /master and 1 minion, up in/);
  assert.match((await local('up', '--name', NAME)).stdout, /was up already/);
  const other = await local('up', '--name', NAME, '--minions', '2');
  assert.deepEqual([other.status, /is up with 1 minions, not 2/.test(other.stderr)], [1, true]);

  const status = await local('status', '--name', NAME);
  assert.deepEqual([status.status, /all is well/.test(status.stdout)], [0, true]);
  const shell = await local(
    'shell',
    '--name',
    NAME,
    'minion1',
    '--',
    'sh',
    '-c',
    'hostname; command -v romana; exit 3',
  );
  assert.deepEqual(shell, { status: 3, stdout: `minion1\n${CHECKOUT}/bin/romana\n`, stderr: '' });
  assert.match(
    (await local('shell', '--name', NAME, 'minion2')).stderr,
    /there is no node 'minion2'; there are master, minion1/,
  );

  const config = await local('kubeconfig', '--name', NAME);
  const client = new HttpKubeClient(parseOwnKubeconfig(config.stdout).connection);
  t.after(() => client.close());
  await client.create(PODS, {
    metadata: { name: 'a', namespace: 'default' },
    spec: {
      containers: [{ name: 'main', image: 'any', command: ['sleep', '1000'], env: [{ name: 'COLOUR', value: 'a b' }] }],
    },
  });
  const layout = clusterLayout(NAME, 1);
  await waitFor('the pod to run', async () =>
    (await clusterStatus(layout, client)).pods.some(({ phase }) => phase === 'Running'),
  );
  const exec = await local(
    'exec',
    '--name',
    NAME,
    'default/a',
    '--',
    'sh',
    '-c',
    'echo "$COLOUR"; ip -4 -o addr show eth0; exit 9',
  );
  assert.equal(exec.status, 9);
  assert.match(exec.stdout, /^a b\n.* inet 10\.1\.16\.3\/32 /);
  assert.match((await local('exec', '--name', NAME, 'default/b', '--', 'true')).stderr, /runs a pod default\/b/);
  assert.equal((await local('exec', '--name', NAME, 'a/b/c', '--', 'true')).status, 2);

  const node = (...words: readonly string[]): Promise<Outcome> => local('node', ...words, '--name', NAME);
  assert.deepEqual(await node('stop', 'minion7'), {
    status: 1,
    stdout: '',
    stderr: "romana: there is no node 'minion7'; there are master, minion1\n",
  });
  assert.match((await node('start', 'minion1')).stdout, /^minion1 of cluster '\S+' was on already\n$/);
  assert.match((await node('stop', 'minion1')).stdout, /^minion1 of cluster '\S+' is off\n$/);
  assert.match((await node('kill', 'minion1')).stdout, /^minion1 of cluster '\S+' was off already\n$/);
  const without = await local('status', '--name', NAME);
  assert.match(
    without.stdout,
    /minion1 +NotReady .*\n[^]*problem: minion1 does not run; start it: romana local node start/,
  );
  assert.equal(without.status, 1);
  const again = await local('up', '--name', NAME);
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, /master and 1 minion, up again in/);
  assert.match((await node('kill', 'minion1')).stdout, /is off/);
  assert.match((await node('start', 'minion1')).stdout, /^minion1 of cluster '\S+' is Ready after \S+ s\n$/);

  assert.match((await node('remove', 'minion1')).stderr, /minion1 is the only minion/);
  assert.match((await node('remove', 'master')).stderr, /the master stays/);
  assert.match((await node('add', 'other')).stdout, /^other of cluster '\S+' is Ready after \S+ s\n$/);
  const names = await local('shell', '--name', NAME, 'minion1', '--', 'getent', 'hosts', 'other');
  assert.match(names.stdout, /^fd00:99::12 +other\n$/);
  assert.deepEqual(await node('add', 'other'), {
    status: 2,
    stdout: '',
    stderr: "romana: there is a node 'other' already\n",
  });
  assert.match((await local('up', '--name', NAME)).stdout, /master and 2 minions, was up already/);
  assert.match((await node('kill', 'minion1')).stdout, /is off/);
  assert.match((await node('remove', 'minion1')).stdout, /^minion1 of cluster '\S+' is removed\n$/);
  const rest = await local('status', '--name', NAME);
  assert.match(rest.stdout, /master +Ready .*\nother +Ready +192\.168\.99\.12 [^]*\nno pods\n/);
  assert.deepEqual([rest.status, rest.stdout.includes('minion1')], [0, false], rest.stdout);
  assert.match((await node('add')).stdout, /^minion1 of cluster '\S+' is Ready/);

  await client.close();
  const down = await local('down', '--name', NAME);
  assert.equal(down.status, 0, down.stderr);
  assert.match((await local('down', '--name', NAME)).stdout, /there is no cluster/);
  assert.equal(await machineState(NAME), before);
  assert.equal(readFileSync('/proc/self/mounts', 'utf8').includes(NAME), false);
});

test('romana local refuses bad names, minions and plans with status 2', { skip }, async () => {
  for (const words of [
    ['up', '--name', 'A/b'],
    ['up', '--name', NAME, '--minions', '5'],
    ['up', '--name', NAME, '--plan', '10.0.0.0/8:8,4,4,9'],
  ]) {
    const { status, stderr } = await local(...words);
    assert.equal(status, 2, stderr);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
});
