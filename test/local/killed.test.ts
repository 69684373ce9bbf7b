import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { suite, test, type TestContext } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type ClusterLayout, clusterLayout, type NodeLayout } from '../../src/local/cluster-layout.ts';
import { isOn, nodeProcess, starterProcess } from '../../src/local/nodes.ts';
import { isAlive, type ProcessIdentity, signalProcess } from '../../src/local/process-identity.ts';
import type { PodRecord } from '../../src/local/runtime/pod-record.ts';
import { PODS } from '../../src/objects/resources.ts';
import { familyOf, machineState } from './machine-state.ts';
import { CHECKOUT, peopleClient } from './test-cluster.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';

/** Calls that are under way. */
const calls = new Set<ChildProcess>();

/** Calls the program; it leads a process group of its own, as from a shell. */
function romana(...words: readonly string[]): ChildProcess & { readonly said: () => string } {
  const child = spawn(`${CHECKOUT}/bin/romana`, ['local', ...words], {
    detached: true,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  calls.add(child);
  child.once('close', () => calls.delete(child));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  return Object.assign(child, { said: () => said });
}

async function done(...words: readonly string[]): Promise<void> {
  const call = romana(...words);
  await once(call, 'close');
  assert.equal(call.exitCode, 0, `${words.join(' ')}: ${call.said()}`);
}

/** A name for a cluster that is taken down when the test ends, and the machine as it was before. */
async function prepare(t: TestContext, name: string, minions = 1): Promise<{ layout: ClusterLayout; before: string }> {
  const layout = clusterLayout(`rt-${process.pid}-k-${name}`, minions);
  t.after(async () => {
    // Of a test that failed; it would be in the way.
    await Promise.all([...calls].map(kill));
    await done('down', '--name', layout.name);
  });
  return { layout, before: await machineState(layout.name) };
}

/** Kills the program alone, while what it has started goes on. */
async function kill(call: ChildProcess): Promise<void> {
  const ended = once(call, 'close');
  call.kill('SIGKILL');
  await ended;
}

/** `down` leaves the machine as it was, and nothing of the processes runs. */
async function assertGone(layout: ClusterLayout, before: string, processes: readonly ProcessIdentity[]): Promise<void> {
  await done('down', '--name', layout.name);
  assert.deepEqual(processes.filter(isAlive), []);
  assert.equal(await machineState(layout.name), before);
}

function pidOf(node: NodeLayout, service: string): number {
  const { pid = 0 } = nodeProcess(node) ?? {};
  const inner = Number(readFileSync(`/proc/${pid}/root/run/romana-node/${service}.pid`, 'utf8'));
  return outerPid(node, inner);
}

/** The machine's number of a process that has `inner` in the node's pid namespace (NSpid, proc(5)). */
function outerPid(node: NodeLayout, inner: number): number {
  const family = familyOf(nodeProcess(node)?.pid ?? 0);
  const found = family.find(({ pid }) => {
    const numbers = /^NSpid:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]?.split('\t');
    return numbers?.[1] === String(inner);
  });
  assert.ok(found, `process ${inner} of ${node.name}`);
  return found.pid;
}

async function runPod(layout: ClusterLayout): Promise<PodRecord> {
  const client = peopleClient(layout);
  try {
    const containers = [{ name: 'main', image: 'any', command: ['sh', '-c', 'sleep 1000 & sleep 1000'] }];
    await client.create(PODS, {
      metadata: { name: 'left', namespace: 'default' },
      spec: { nodeName: 'minion1', containers },
    });
  } finally {
    await client.close();
  }
  return waitFor('the pod to run', () => {
    const directory = `/proc/${nodeProcess(layout.nodes[1] as NodeLayout)?.pid}/root/run/romana-runtime/pods`;
    const file = readdirSync(directory).find((name) => name.endsWith('.json'));
    if (file === undefined) return undefined;
    const record = JSON.parse(readFileSync(`${directory}/${file}`, 'utf8')) as PodRecord;
    return record.containers['main'] === undefined ? undefined : record;
  });
}

const familiesOf = (layout: ClusterLayout): ProcessIdentity[] =>
  layout.nodes.flatMap((node) => familyOf(starterProcess(node)?.pid ?? 0));

/** Who is killed in a cluster that runs, one after the other, as the machine numbers them. */
function victims({ nodes }: ClusterLayout, pod: PodRecord): readonly number[] {
  const [master, minion1, minion2] = nodes as [NodeLayout, NodeLayout, NodeLayout];
  return [
    ...['apiserver', 'controller', 'runtime', 'agent'].map((service) => pidOf(master, service)),
    ...['runtime', 'agent'].map((service) => pidOf(minion1, service)),
    outerPid(minion1, pod.containers['main']?.pid ?? 0),
    outerPid(minion1, pod.sandbox?.pid ?? 0),
    nodeProcess(minion2)?.pid ?? 0,
    starterProcess(master)?.pid ?? 0,
  ];
}

suite('down leaves nothing, after a kill -9', { skip }, () => {
  test('of every service, a pod and its sandbox, process 1 of a node and the starter of another', async (t) => {
    const { layout, before } = await prepare(t, 'all', 2);
    await done('up', '--name', layout.name, '--minions', '2');
    const pod = await runPod(layout);
    const processes = familiesOf(layout);
    const stray = spawn('ip', ['netns', 'exec', layout.fabric, 'sleep', '1000'], { stdio: 'ignore' });
    const gone = once(stray, 'exit');
    await waitFor('the stray process', () => readFileSync(`/proc/${stray.pid}/comm`, 'utf8') === 'sleep\n');
    const killed = victims(layout, pod);
    assert.deepEqual(new Set(killed).size, 10);
    for (const pid of killed) {
      const known = processes.find((process) => process.pid === pid);
      assert.ok(known !== undefined && signalProcess(known, 'SIGKILL'), String(pid));
    }
    await assertGone(layout, before, processes);
    await gone;
  });

  test('of up, whatever it was at', async (t) => {
    const { layout, before } = await prepare(t, 'up');
    const moments = [
      ...[0, 20, 80, 150].map((ms) => ({ step: 'network namespaces', ms })),
      ...[0, 20].map((ms) => ({ step: '2 nodes', ms })),
      { step: 'waiting until', ms: 0 },
    ];
    for (const { step, ms } of moments) {
      const call = romana('up', '--name', layout.name, '--minions', '1');
      await waitFor(step, () => call.said().includes(step), { everyMs: 1, timeoutMs: 60_000 });
      const until = performance.now() + ms;
      await waitFor('the moment', () => performance.now() >= until, { everyMs: 1 });
      await kill(call);
      await assertGone(layout, before, []);
    }
  });

  test('of node start and node kill, and of down itself', async (t) => {
    const { layout, before } = await prepare(t, 'node');
    const [, minion] = layout.nodes as [NodeLayout, NodeLayout];
    await done('up', '--name', layout.name, '--minions', '1');
    await done('node', 'kill', '--name', layout.name, 'minion1');
    const starting = romana('node', 'start', '--name', layout.name, 'minion1');
    await waitFor('its network', () => existsSync(`${layout.netnsDirectory}/${minion.netns}`), { everyMs: 1 });
    await kill(starting);
    // What was begun does not keep the next from doing it.
    await done('node', 'start', '--name', layout.name, 'minion1');
    const killing = romana('node', 'kill', '--name', layout.name, 'minion1');
    await waitFor('the end of the node', () => !isOn(minion), { everyMs: 1 });
    await kill(killing);
    await done('up', '--name', layout.name);
    const processes = familiesOf(layout);
    const taking = romana('down', '--name', layout.name);
    await waitFor('the end of the node', () => !isOn(minion), { everyMs: 1 });
    await kill(taking);
    await assertGone(layout, before, processes);
  });
});
