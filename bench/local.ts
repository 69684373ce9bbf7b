import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { clusterLayout } from '../src/local/cluster-layout.ts';
import { nodeProcess } from '../src/local/nodes.ts';
import { runCommand } from '../src/local/run-command.ts';
import { type Measured, measuredRows, measuredTable } from './measured.ts';
import { processTree, proportionalSize, readUnlessGone } from './process-memory.ts';
import { residentBytes } from './process-use.ts';

// The local cluster: how long it takes up and down, and its memory once it is up; and how soon the program answers.
//   node bench/local.ts [--json FILE] [--rounds N]

const ROMANA = fileURLToPath(new URL('../bin/romana', import.meta.url));
const MIB = 2 ** 20;
const MAX_MIB = 1024;
const SIZES = [
  { minions: 2, maxUp: 5 },
  { minions: 4, maxUp: 10 },
] as const;
/** The subcommands that last. */
const DAEMONS = ['agent', 'controller', 'local-apiserver', 'local-runtime'] as const;
const STARTS = 20;
const MAX_START = 0.2;

const { values } = parseArgs({ options: { json: { type: 'string' }, rounds: { type: 'string', default: '3' } } });
const rounds = Number(values.rounds);

// A cluster that comes up is taken down again before the bench ends.
let interrupted: NodeJS.Signals | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => (interrupted = signal));

const measured: Measured[] = [await measureStart()];
for (const { minions, maxUp } of SIZES) measured.push(...(await measureCluster(minions, maxUp)));
const rows = measuredRows(measured);
process.stdout.write(`Local cluster, ${rounds} rounds\n${measuredTable(rows)}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);

async function measureStart(): Promise<Measured> {
  const times: number[] = [];
  for (let n = 0; n < STARTS; n++) times.push(await seconds('--help'));
  return { what: `romana --help, ${STARTS} times`, unit: 's', values: times, atMost: MAX_START };
}

async function measureCluster(minions: number, maxUp: number): Promise<readonly Measured[]> {
  const name = `bench-${process.pid}`;
  const [ups, downs, sizes]: [number[], number[], number[]] = [[], [], []];
  const daemons = new Map<string, number[]>(DAEMONS.map((daemon) => [daemon, []]));
  for (let round = 1; round <= rounds; round++) {
    try {
      ups.push(await seconds('local', 'up', '--name', name, '--minions', String(minions)));
      const processes = processesOf(name, minions);
      sizes.push(processes.reduce((sum, pid) => sum + proportionalSize(pid), 0) / MIB);
      for (const pid of processes) daemons.get(daemonOf(pid))?.push(residentBytes(pid) / MIB);
    } finally {
      downs.push(await seconds('local', 'down', '--name', name));
    }
    if (interrupted !== undefined) throw new Error(`ended by ${interrupted}`);
    process.stderr.write(`bench/local: 1 + ${minions} nodes, round ${round} of ${rounds}\n`);
  }
  const nodes = `1 + ${minions} nodes`;
  return [
    { what: `${nodes}: local up`, unit: 's', values: ups, atMost: maxUp },
    { what: `${nodes}: local down`, unit: 's', values: downs },
    { what: `${nodes}: memory (PSS) once up`, unit: 'MiB', values: sizes, atMost: MAX_MIB },
    ...[...daemons].map(([daemon, values]) => ({
      what: `${nodes}: resident memory of ${daemon}`,
      unit: 'MiB',
      values,
    })),
  ];
}

/** Runs the program to its end. @returns the seconds it took. */
async function seconds(...args: readonly string[]): Promise<number> {
  const began = process.hrtime.bigint();
  await runCommand(ROMANA, args);
  return Number(process.hrtime.bigint() - began) / 1e9;
}

/** All processes of all nodes. */
function processesOf(name: string, minions: number): readonly number[] {
  const roots = clusterLayout(name, minions).nodes.map((node) => {
    const first = nodeProcess(node);
    if (first === undefined) throw new Error(`${node.name} has no process on file`);
    return first.pid;
  });
  return processTree(roots);
}

/** The subcommand of the program that a process runs, '' for other programs. */
function daemonOf(pid: number): string {
  return /\/romana\.ts\0([-a-z]+)\0/.exec(readUnlessGone(`/proc/${pid}/cmdline`))?.[1] ?? '';
}
