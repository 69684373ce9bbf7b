import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Caller } from './cni-call.ts';
import { type BenchCluster, ROMANA, startCluster } from './cni-cluster.ts';
import { builtLauncher, linksGone, makeHost, runInside } from './own-host.ts';
import { processorSeconds, residentBytes } from './process-use.ts';
import { type Measured, measuredRows, measuredTable } from './measured.ts';
import { median, ratios } from './statistics.ts';

// A node full of pods: what an ADD takes by what it takes on an empty one, how soon a new agent enforces, and what it
// uses when nothing happens. All of it in namespaces of its own, which end with it.
//   node bench/node.ts [--json FILE] [--rounds N] [--crowd N] [--idle SECONDS]

const ADDRESS = '192.168.99.10';
const CALLS = '/run/bench/calls';
/** ADDs of one round, each of a pod of its own. */
const PODS = 40;
const LANES = 8;
const MAX_ADD_RATIO = 1.2;
const MAX_START_SECONDS = 1;
const MAX_IDLE_PERCENT = 0.2;
/** Reports of use are written 2 s after the last change; then nothing is due. */
const CALM_MS = 4_000;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    crowd: { type: 'string', default: '250' },
    idle: { type: 'string', default: '20' },
    inside: { type: 'boolean', default: false },
  },
});
const crowd = Number(values.crowd);

if (values.inside) await inside();
else {
  builtLauncher();
  process.exitCode = runInside(fileURLToPath(import.meta.url), process.argv.slice(2));
}

async function inside(): Promise<void> {
  makeHost(ADDRESS, PODS + crowd);
  mkdirSync(CALLS, { recursive: true });
  const cluster = await startCluster({ pods: PODS, crowd, launcher: builtLauncher(), address: ADDRESS });
  try {
    const rows = measuredRows(await measure(cluster));
    process.stdout.write(`A node with ${crowd} pods, ${values.rounds} rounds\n${measuredTable(rows)}\n`);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);
  } finally {
    await cluster.stop();
  }
}

async function measure(cluster: BenchCluster): Promise<readonly Measured[]> {
  const caller = new Caller(CALLS);
  const rounds = Number(values.rounds);
  const [empty, full, starts]: [Adds[], Adds[], number[]] = [[], [], []];
  // Empty and full take turns, so that what else the machine does falls on both; the first round only warms up.
  for (let round = 0; round <= rounds; round++) {
    const without = await addPods(caller, cluster, 0);
    caller.together(ROMANA, 'ADD', cluster.crowd, LANES);
    const withAll = await addPods(caller, cluster, crowd);
    if (round > 0) empty.push(without);
    if (round > 0) full.push(withAll);
    if (round < rounds) caller.together(ROMANA, 'DEL', cluster.crowd, LANES);
    if (round < rounds) await linksGone();
    say(round === 0 ? 'warm' : `round ${round} of ${rounds}`);
  }
  while (starts.length < rounds) starts.push(await cluster.restartAgent());
  say('idle');
  const { percent, mebibytes } = await idleUse(cluster.agent);
  const byEmpty = (of: (adds: Adds) => number): Measured['values'] => ratios(full.map(of), empty.map(of));
  return [
    { what: 'ADD with none', unit: 'ms', values: empty.map(({ ms }) => ms) },
    { what: `ADD with ${crowd}`, unit: 'ms', values: full.map(({ ms }) => ms) },
    { what: '... by it with none', unit: '', values: byEmpty(({ ms }) => ms), atMost: MAX_ADD_RATIO },
    { what: '... processor time of the agent by it with none', unit: '', values: byEmpty(({ agentMs }) => agentMs) },
    { what: 'start of an agent until it enforces', unit: 's', values: starts, atMost: MAX_START_SECONDS },
    { what: `idle agent over ${values.idle} s, of a core`, unit: '%', values: [percent], atMost: MAX_IDLE_PERCENT },
    { what: 'resident memory of the agent', unit: 'MiB', values: [mebibytes] },
  ];
}

function say(text: string): void {
  process.stderr.write(`bench/node: ${text}\n`);
}

/** What ADDs of one round took. */
interface Adds {
  /** The median of a call, in milliseconds. */
  readonly ms: number;
  /** Processor time of the agent for each, in milliseconds. */
  readonly agentMs: number;
}

/** Adds the pods, one after the other, beside `beside` others, and takes them away again. */
async function addPods(caller: Caller, { agent, pods }: BenchCluster, beside: number): Promise<Adds> {
  const before = processorSeconds(agent);
  const times = pods.map((pod) => caller.alone(ROMANA, 'ADD', pod).ms);
  const agentMs = ((processorSeconds(agent) - before) * 1000) / pods.length;
  caller.together(ROMANA, 'DEL', pods, LANES);
  await linksGone(beside);
  return { ms: median(times), agentMs };
}

async function idleUse(pid: number): Promise<{ percent: number; mebibytes: number }> {
  await setTimeout(CALM_MS);
  const seconds = Number(values.idle);
  const before = processorSeconds(pid);
  await setTimeout(seconds * 1000);
  const percent = ((processorSeconds(pid) - before) / seconds) * 100;
  return { percent, mebibytes: residentBytes(pid) / 2 ** 20 };
}
