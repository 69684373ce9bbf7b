import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Measured, measuredRows, measuredTable } from './measured.ts';
import { measureAdds } from './policy-adds.ts';
import { measureElsewhere } from './policy-elsewhere.ts';
import { measureLatency } from './policy-latency.ts';
import { type BenchPod, HOSTS, PolicyRig } from './policy-rig.ts';
import { LEAST, measurePolicyTraffic, MOST } from './policy-traffic.ts';
import { podsElsewhere } from './policy-world.ts';
import { residentBytes } from './process-use.ts';
import { ratios } from './statistics.ts';
import { type TrafficRow, trafficRows, trafficTable } from './traffic-report.ts';

// Policy in a large cluster: how soon it is obeyed, what it costs the agent and ADD, and what it costs packets.
//   node bench/policy.ts [--json FILE] [--rounds N] [--slice MS] [--part NAME]...

const LOCAL = 250;
const POLICIES = 1_000;
/** Pods on each other host, so that the cluster has 10,000, or 100,000. */
const [FEW, MANY] = [250, 2_500];
const ADDED = 20;
/** Reports are written 2 s after the last change; then nothing is due. */
const CALM_MS = 4_000;
const MAX_P50_MS = 4;
const MAX_P99_MS = 10;
const MAX_START_SECONDS = 2;
const MAX_MIB = 100;
const MAX_ADD_RATIO = 1.2;
const LEAST_OF_MOST = 0.95;
const PARTS = ['latency', 'start', 'adds', 'traffic', 'memory'] as const;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '20' },
    slice: { type: 'string', default: '100' },
    part: { type: 'string', multiple: true, default: [...PARTS] },
  },
});
const rounds = Number(values.rounds);
const wants = (part: (typeof PARTS)[number]): boolean => values.part.includes(part);

await using rig = await PolicyRig.start();
say('pods');
const client = await rig.client();
const local = await rig.pods(0, LOCAL);
const [server] = local;
if (server === undefined) throw new Error('no pods, nothing to measure');
rig.make(podsElsewhere(HOSTS, 0, FEW));
const measured: Measured[] = [];
if (wants('latency')) measured.push(...(await latency(server)));
if (wants('start')) measured.push(await starts());
if (wants('adds')) measured.push(...(await adds()));
if (wants('memory')) measured.push(...(await memory()));
const traffic = wants('traffic') ? await throughput(server) : [];
const rows = measuredRows(measured);
process.stdout.write(
  `Policy, ${LOCAL} local pods of ${HOSTS * FEW}, ${rounds} rounds\n${measuredTable(rows)}\n${trafficTable(traffic)}\n`,
);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows, traffic }, undefined, 2)}\n`);

async function latency(to: BenchPod): Promise<readonly Measured[]> {
  say('latency');
  await rig.policies(POLICIES);
  for (const pid of [process.pid, rig.host.agentPid]) {
    // Those who share the machine are not measured.
    execFileSync('chrt', ['-a', '-r', '-p', '1', String(pid)]);
  }
  const { each, means } = await measureLatency(rig, { client, server: to, rounds: rounds * 5 });
  for (const pid of [process.pid, rig.host.agentPid]) execFileSync('chrt', ['-a', '-o', '-p', '0', String(pid)]);
  return [
    ...[...each].flatMap(([what, list]) => [
      { what: `${what}: to the first packet that obeys`, unit: 'ms', values: list, atMost: MAX_P50_MS },
      { what: '... 99 of 100', unit: 'ms', values: [percentile(list, 0.99)], atMost: MAX_P99_MS },
    ]),
    ...[...means].map(([what, ms]) => ({ what, unit: 'ms', values: [ms] })),
  ];
}

async function starts(): Promise<Measured> {
  await rig.policies(POLICIES);
  const seconds: number[] = [];
  for (let n = 0; n < 5; n++) {
    say(`start ${n}`);
    await rig.host.stopAgent();
    seconds.push(await rig.startAgent());
  }
  return {
    what: `start with ${POLICIES} policies, until it enforces`,
    unit: 's',
    values: seconds,
    atMost: MAX_START_SECONDS,
  };
}

async function adds(): Promise<readonly Measured[]> {
  say('ADDs');
  const { without, under } = await measureAdds(rig, { pods: local.slice(-ADDED), count: POLICIES, rounds: 5 });
  return [
    { what: 'ADD without a policy, in the agent', unit: 'ms', values: without },
    { what: `ADD with ${POLICIES} policies`, unit: 'ms', values: under },
    { what: '... by it without', unit: '', values: ratios(under, without), atMost: MAX_ADD_RATIO },
  ];
}

async function memory(): Promise<readonly Measured[]> {
  say('memory');
  await rig.policies(POLICIES, 'segments');
  const cost = await measureElsewhere(rig, podsElsewhere(HOSTS, 0, 10));
  rig.make(podsElsewhere(HOSTS, FEW, MANY));
  const segments = await memoryOfNew();
  await rig.policies(100, 'labels');
  const labels = await memoryOfNew();
  return [
    { what: `${cost.pods} pods elsewhere come and go: transactions`, unit: '', values: [cost.transactions], atMost: 0 },
    { what: '... bytes from the API server', unit: '', values: [cost.bytes], atMost: 0 },
    { what: '100,000 pods, policies by segment: resident', unit: 'MiB', values: [segments], atMost: MAX_MIB },
    { what: '100,000 pods, 100 policies by labels: resident', unit: 'MiB', values: [labels] },
  ];
}

/** What a new agent has in memory. */
async function memoryOfNew(): Promise<number> {
  await rig.host.stopAgent();
  await rig.startAgent();
  await rig.settled();
  await setTimeout(CALM_MS);
  return residentBytes(rig.host.agentPid) / 2 ** 20;
}

async function throughput(to: BenchPod): Promise<readonly TrafficRow[]> {
  say('traffic');
  const results = await measurePolicyTraffic(rig, { client, server: to, local, rounds, sliceMs: Number(values.slice) });
  const of = (variant: string): readonly number[] => results.get(variant)?.get('one host, exchange') ?? [];
  const by = ratios(of(MOST), of(LEAST));
  measured.push({ what: `new connections: ${MOST} by 1`, unit: '', values: by, atLeast: LEAST_OF_MOST });
  return trafficRows(results);
}

function percentile(list: readonly number[], part: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function say(text: string): void {
  process.stderr.write(`bench/policy: ${text}\n`);
}
