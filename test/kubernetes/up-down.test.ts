import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import { conditionOf, objectsAt, textAt } from '../../src/local/kube-json.ts';
import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { isAlive, type ProcessIdentity } from '../../src/local/process-identity.ts';
import { runCommand } from '../../src/local/run-command.ts';
import { clusterStatus } from '../../src/local/status.ts';
import { NODES, PODS } from '../../src/objects/resources.ts';
import { familyOf, machineState } from '../local/machine-state.ts';
import { KubeCluster, NO_KUBERNETES, whenThereIsRoom } from '../support/kube-cluster.ts';

const ROMANA = resolve(import.meta.dirname, '../../bin/romana');
const ENVIRONMENT = { PATH: process.env['PATH'] ?? '', ROMANA_KUBERNETES_PROGRAMS: programsFolder(process.env) };

/** Says good-bye when it is asked to end. */
const POLITE = `trap 'echo good-bye; exit' TERM; while :; do sleep 0.1; done`;

suite('a local cluster that is a real Kubernetes', { skip: NO_KUBERNETES }, () => {
  let machineBefore = '';
  let cluster: KubeCluster;
  let processes: ProcessIdentity[] = [];
  const mark = `rt-${process.pid}-`;

  before(async () => {
    machineBefore = await machineState(mark);
    cluster = await KubeCluster.up({ minions: 1 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const local = (...words: readonly string[]): Promise<string> =>
    cluster.romana('local', ...words.slice(0, 1), '--name', cluster.layout.name, ...words.slice(1));
  const node = async (name: string): Promise<unknown> => cluster.client.get(NODES, name);
  const runPod = async (name: string, nodeName: string, script: string): Promise<void> => {
    const command = ['bash', '-c', script];
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { nodeName, containers: [{ name: 'main', image: 'tools', imagePullPolicy: 'IfNotPresent', command }] },
    });
    await cluster.ready(name);
  };

  test('all its nodes are Ready, the master too, which is tainted and labelled as such', async () => {
    assert.match(await local('status'), /all is well/);
    const master = await node('master');
    assert.deepEqual(
      objectsAt(master, 'spec', 'taints').map(({ key, effect }) => [key, effect]),
      [['node-role.kubernetes.io/control-plane', 'NoSchedule']],
    );
    assert.equal(textAt(master, 'metadata', 'labels', 'node-role.kubernetes.io/control-plane'), '');
    assert.equal(objectsAt(master, 'spec', 'podCIDRs').length, 0);
    assert.equal(statSync(cluster.kubeconfig).mode & 0o777, 0o600);
    assert.match(await cluster.romana('hosts'), /^0 +master +yes.*\n1 +minion1 +yes/m);
  });

  test('a command runs in a pod by exec of either kind, with its input, output and status', async () => {
    await runPod('first', 'minion1', POLITE);
    assert.equal(await local('exec', 'default/first', '--', 'sh', '-c', 'echo "$HOSTNAME"'), 'first\n');
    await assert.rejects(local('exec', 'first', '--', 'sh', '-c', 'echo no >&2; exit 3'), /status 3: no/);
    await assert.rejects(local('exec', 'nobody', '--', 'true'), /runs a pod default\/nobody/);
    assert.deepEqual(await cluster.exec('first', 'sh', '-c', 'echo out; exit 4'), {
      exitCode: 4,
      stdout: 'out\n',
      stderr: '',
    });
    assert.match(await local('shell', 'minion1', '--', 'kubectl', 'get', 'nodes'), /minion1 +Ready/);
  });

  test('a node whose power is cut boots with its disk, and runs its pods again', async () => {
    const minion = cluster.node('minion1');
    await minion.sh('touch /var/lib/kept /etc/kept /run/gone');
    const boot = textAt(await node('minion1'), 'status', 'nodeInfo', 'bootID');
    await cluster.romana('local', 'node', 'kill', 'minion1', '--name', cluster.layout.name);
    assert.match(await problems(), /minion1 does not run/);
    await cluster.romana('local', 'node', 'start', 'minion1', '--name', cluster.layout.name);
    assert.notEqual(textAt(await node('minion1'), 'status', 'nodeInfo', 'bootID'), boot);
    assert.equal(
      await minion.sh('ls /var/lib/kept /etc/kept /run/gone 2>/dev/null || true'),
      '/etc/kept\n/var/lib/kept\n',
    );
    await waitFor('the pod to run again', () => restarts('first', 1), { timeoutMs: 60_000, everyMs: 100 });
  });

  test('a node that is stopped lets its pods end in order', async () => {
    await cluster.romana('local', 'node', 'stop', 'minion1', '--name', cluster.layout.name);
    const [log = ''] = globSync(`${cluster.node('minion1').layout.directory}/log/pods/default_first_*/main/1.log`);
    assert.match(readFileSync(log, 'utf8'), /good-bye/);
    assert.equal(conditionOf(await node('minion1'), 'Ready')?.message, 'node is shutting down');
    await cluster.node('minion1').powerOn();
    await waitFor('the pod to run again', () => restarts('first', 2), { timeoutMs: 60_000, everyMs: 100 });
  });

  test('a master without power comes back at the same address with what it knew', async () => {
    await cluster.node('master').powerOff();
    await assert.rejects(cluster.kubectl('get', 'nodes', '--request-timeout=2s'));
    await cluster.node('master').powerOn();
    assert.equal(conditionOf(await cluster.client.get(PODS, 'first', 'default'), 'Ready')?.status, 'True');
  });

  test('a service that is held down stays down until it is released', async () => {
    const minion = cluster.node('minion1');
    await minion.hold('kubelet');
    await waitFor('the kubelet to be missed', async () => /kubelet on minion1 does not run/.test(await problems()));
    minion.release('kubelet');
    await waitFor('all to be well', async () => (await problems()) === '', { timeoutMs: 60_000 });
  });

  test('a machine of the same name with an empty disk takes its place', async () => {
    const minion = cluster.node('minion1');
    await minion.sh('touch /var/lib/kept');
    await minion.powerOff();
    await cluster.kubectl('delete', 'node', 'minion1');
    minion.replaceDisk();
    await minion.powerOn();
    assert.equal(await minion.sh('ls /var/lib/kept 2>/dev/null || true'), '');
    await runPod('second', 'minion1', POLITE);
  });

  test('down leaves nothing, after a kill -9 of services, of a process 1 and of a starter', async () => {
    processes = cluster.layout.nodes.flatMap(({ pidFile }) =>
      familyOf(Number(readFileSync(`${pidFile}.starter`, 'utf8').split(' ')[0])),
    );
    await cluster.node('master').kill('etcd');
    await cluster.node('master').kill('kubelet');
    process.kill(cluster.node('minion1').pid, 'SIGKILL');
    process.kill(
      Number(readFileSync(`${cluster.node('master').layout.pidFile}.starter`, 'utf8').split(' ')[0]),
      'SIGKILL',
    );
    await cluster[Symbol.asyncDispose]();
    assert.deepEqual(processes.filter(isAlive), []);
    assert.equal(await machineState(mark), machineBefore);
  });

  async function problems(): Promise<string> {
    return (await clusterStatus(cluster.layout, cluster.client)).problems.join('\n');
  }

  async function restarts(pod: string, least: number): Promise<boolean> {
    const json = await cluster.client.get(PODS, pod, 'default');
    const [status] = objectsAt(json, 'status', 'containerStatuses');
    return status?.['ready'] === true && Number(status['restartCount']) >= least;
  }
});

test('down leaves nothing of a Kubernetes whose up was killed on its way', { skip: NO_KUBERNETES }, async (t) => {
  const name = `rt-${process.pid}-killed`;
  const machineBefore = await machineState(name);
  const down = async (): Promise<unknown> =>
    runCommand(ROMANA, ['local', 'down', '--name', name], { env: ENVIRONMENT });
  t.after(down);
  await whenThereIsRoom(2, async () => {
    const words = ['local', 'up', '--kubernetes', '--no-romana', '--minions', '1', '--name', name];
    const up = spawn(ROMANA, words, { stdio: ['ignore', 'ignore', 'pipe'], env: ENVIRONMENT });
    const ended = once(up, 'close');
    for await (const said of up.stderr) {
      if (String(said).includes('waiting until all nodes')) up.kill('SIGKILL');
    }
    await ended;
    assert.equal(up.signalCode, 'SIGKILL');
  });
  await down();
  assert.equal(await machineState(name), machineBefore);
});
