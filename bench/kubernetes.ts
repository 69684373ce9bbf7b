import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { KubeCluster, NO_KUBERNETES } from '../test/support/kube-cluster.ts';
import type { KubeNode } from '../test/support/kube-node.ts';
import { type ApiUse, type ApiUses, apiUsesOf, callsOf, meanMs, memoryOf, showMetrics } from './kube-metrics.ts';
import { type Network, switchTo } from './kube-networks.ts';
import { applyUntilReady, deletePods, podsOn } from './kube-pods.ts';
import { type Measured, measuredRows, measuredTable } from './measured.ts';
import { ratios } from './statistics.ts';

// A real Kubernetes: `kubectl apply` of pods until all are Ready, by Romana and by the standard bridge plugin in turns on
// one cluster; ADD and DEL as containerd waits for them; memory with many pods; what an agent costs the API server.
//   node bench/kubernetes.ts [--json FILE] [--rounds N] [--pods N] [--crowd N] [--seconds N]

const MAX_RATIO = 1;
/** Pods of the churn that are there at once. */
const CHURNING = 5;
/** Without news for so long there are none to come; bookmarks come once a minute. */
const CALM_MS = 10_000;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    pods: { type: 'string', default: '60' },
    crowd: { type: 'string', default: '250' },
    seconds: { type: 'string', default: '60' },
  },
});
const rounds = Number(values.rounds);
const crowd = Number(values.crowd);
const seconds = Number(values.seconds);

if (NO_KUBERNETES !== false) throw new Error(`no real Kubernetes can be made here: it ${NO_KUBERNETES}`);
await using cluster = await KubeCluster.up({ minions: 2, flags: { kubelet: [`--max-pods=${crowd + 50}`] } });
const minions = ['minion1', 'minion2'].map((name) => cluster.node(name));
const rows = measuredRows(await measure());
process.stdout.write(`Kubernetes, 1 + 2 nodes, ${rounds} rounds\n${measuredTable(rows)}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);

/** What one round came to: seconds until all pods were Ready, and until they were gone; ms of a call. */
interface Round {
  readonly ready: number;
  readonly gone: number;
  readonly add: number;
  readonly del: number;
}

async function measure(): Promise<readonly Measured[]> {
  for (const node of minions) await showMetrics(node);
  const done: Record<Network, Round[]> = { bridge: [], romana: [] };
  // They take turns, so that what else the machine does falls on both; the first round only warms up.
  for (let round = 0; round <= rounds; round += 1) {
    const turns: readonly Network[] = round % 2 === 0 ? ['bridge', 'romana'] : ['romana', 'bridge'];
    for (const network of turns) {
      const result = await playRound(network);
      if (round > 0) done[network].push(result);
    }
    say(round === 0 ? 'warm' : `round ${round} of ${rounds}`);
  }
  await switchTo(cluster, minions, 'romana');
  return [...comparison(done), ...(await manyPods())];
}

async function playRound(network: Network): Promise<Round> {
  await switchTo(cluster, minions, network);
  const names = Array.from({ length: Number(values.pods) }, (_, i) => `bench-${i}`);
  const look = () => Promise.all(minions.map(callsOf));
  const before = await look();
  const ready = await applyUntilReady(cluster, podsOn(undefined, names));
  const between = await look();
  const gone = await deletePods(cluster);
  const after = await look();
  return { ready, gone, add: meanMs(before, between, 'add'), del: meanMs(between, after, 'del') };
}

function comparison({ bridge, romana }: Record<Network, readonly Round[]>): readonly Measured[] {
  const all: [string, string, keyof Round][] = [
    [`kubectl apply of ${values.pods} pods on 2 nodes until all are Ready`, 's', 'ready'],
    ['deletion of them until all are gone', 's', 'gone'],
    ['ADD as containerd waits for it, mean of a round', 'ms', 'add'],
    ['DEL as containerd waits for it, mean of a round', 'ms', 'del'],
  ];
  return all.flatMap(([what, unit, key]) => {
    const [ours, theirs] = [romana, bridge].map((list) => list.map((round) => round[key])) as [number[], number[]];
    const goal = key === 'ready' ? { atMost: MAX_RATIO } : {};
    return [
      { what: `${what}: Romana`, unit, values: ours },
      { what: '... bridge', unit, values: theirs },
      { what: '... Romana by bridge', unit: '', values: ratios(ours, theirs), ...goal },
    ];
  });
}

/** Memory and traffic of the daemons in a cluster with a crowd. */
async function manyPods(): Promise<readonly Measured[]> {
  say(`${crowd} pods`);
  const names = Array.from({ length: crowd }, (_, i) => `crowd-${i}`);
  const took = await applyUntilReady(cluster, podsOn(undefined, names));
  const all = [cluster.node('master'), ...minions];
  const [watched, other] = minions as [KubeNode, KubeNode];
  say('idle');
  const idle = await perMinute(watched, () => setTimeout(seconds * 1000));
  say('churn on another node');
  const churn = await perMinute(watched, () => churnOn(other));
  return [
    { what: `${crowd} pods until all are Ready`, unit: 's', values: [took] },
    {
      what: `resident memory of an agent with its half of ${crowd} pods`,
      unit: 'MiB',
      values: memories(minions, 'agent'),
    },
    { what: `resident memory of a controller with ${crowd} pods`, unit: 'MiB', values: memories(all, 'controller') },
    ...useRows('idle', idle),
    ...useRows('pod churn on another node', churn),
  ];
}

function memories(nodes: readonly KubeNode[], daemon: 'agent' | 'controller'): readonly number[] {
  return nodes.flatMap((node) => memoryOf(node, daemon) ?? []);
}

/** What makes up nearly all; the parts are told beside. */
function useRows(when: string, uses: ApiUses): readonly Measured[] {
  const sum = (of: keyof ApiUse): number => [...uses.values()].reduce((total, use) => total + use[of], 0);
  const pulses = uses.get('pulse')?.requests ?? 0;
  for (const [what, { requests, bytes }] of uses)
    if (requests > 0 || bytes > 0)
      say(`${when}: ${what}: ${requests.toFixed(1)} requests, ${bytes.toFixed(0)} bytes a minute`);
  return [
    { what: `${when}: requests of an agent a minute, pulses aside`, unit: '', values: [sum('requests') - pulses] },
    { what: `${when}: pulses of an agent a minute`, unit: '', values: [pulses] },
    { what: `${when}: bytes to an agent a minute`, unit: '', values: [sum('bytes')] },
  ];
}

/** What the agent of a node costs the API server a minute while something else goes on. */
async function perMinute(node: KubeNode, meanwhile: () => Promise<unknown>): Promise<ApiUses> {
  await calm(node);
  const before = await apiUsesOf(node);
  const began = process.hrtime.bigint();
  await meanwhile();
  const after = await apiUsesOf(node);
  const minutes = Number(process.hrtime.bigint() - began) / 60e9;
  return new Map(
    [...after].map(([key, { requests, bytes }]) => {
      const old = before.get(key) ?? { requests: 0, bytes: 0 };
      return [key, { requests: (requests - old.requests) / minutes, bytes: (bytes - old.bytes) / minutes }];
    }),
  );
}

/** Waits until the agent hears of its own pods no more: what became of the last ones is told late. */
async function calm(node: KubeNode): Promise<void> {
  const heard = async (): Promise<number> => (await apiUsesOf(node)).get('watch pods')?.bytes ?? 0;
  for (let before = -1, now = await heard(); now !== before;) {
    await setTimeout(CALM_MS);
    [before, now] = [now, await heard()];
  }
}

/** Pods come and go on a node, as fast as it can. */
async function churnOn(node: KubeNode): Promise<void> {
  const end = process.hrtime.bigint() + BigInt(seconds) * 1_000_000_000n;
  let count = 0;
  while (process.hrtime.bigint() < end) {
    const names = Array.from({ length: CHURNING }, (_, i) => `churn-${i}`);
    await applyUntilReady(cluster, podsOn(node.layout.name, names));
    await cluster.kubectl('delete', 'pods', ...names, '--wait=true');
    count += CHURNING;
  }
  say(`${count} pods came and went`);
}

function say(text: string): void {
  process.stderr.write(`bench/kubernetes: ${text}\n`);
}
