import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { NO_KUBERNETES } from '../test/support/kube-cluster.ts';

// Everything that is measured, one after the other, and one file of JSON with all of it.
//   node bench/run.ts [--json FILE] [--rounds N] [--ups N] [--slices N] [--turns N]
// --rounds is for the CNI calls and the full node, --ups for the local cluster, --slices for traffic and policy,
// --turns for networks on the real Kubernetes, which runs where its programs are.

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    ups: { type: 'string', default: '3' },
    slices: { type: 'string', default: '30' },
    turns: { type: 'string', default: '3' },
  },
});

const ignore = (): void => undefined;
const folder = mkdtempSync(join(tmpdir(), 'romana-bench-'));
try {
  const machine = { cpus: availableParallelism(), model: cpus()[0]?.model, kernel: release(), node: process.version };
  const loadBefore = loadavg();
  process.stdout.write(`${machine.cpus} CPUs (${machine.model}), Linux ${machine.kernel}, ${load(loadBefore)}\n\n`);
  const cni = await measure('cni', values.rounds);
  process.stdout.write('\n');
  const node = await measure('node', values.rounds);
  process.stdout.write('\n');
  const traffic = await measure('traffic', values.slices);
  process.stdout.write('\n');
  const policy = await measure('policy', values.slices);
  process.stdout.write('\n');
  const local = await measure('local', values.ups);
  process.stdout.write('\n');
  if (NO_KUBERNETES !== false) process.stdout.write(`bench/kubernetes did not run: it ${NO_KUBERNETES}\n`);
  const kubernetes = NO_KUBERNETES === false ? await measure('kubernetes', values.turns) : undefined;
  const loadAfter = loadavg();
  process.stdout.write(`\n${load(loadAfter)} at the end\n`);
  if (values.json !== undefined)
    save(values.json, { machine, loadBefore, cni, node, traffic, policy, local, kubernetes, loadAfter });
} finally {
  rmSync(folder, { recursive: true });
}

/** Runs one bench to its end. @returns its JSON. */
async function measure(name: string, rounds: string): Promise<unknown> {
  const json = join(folder, `${name}.json`);
  const program = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', program, '--json', json, '--rounds', rounds];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  // Ctrl-C is for the bench, which cleans up after itself; other signals are passed on to it.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', ignore).on('SIGTERM', pass).on('SIGHUP', pass);
  const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  process.off('SIGINT', ignore).off('SIGTERM', pass).off('SIGHUP', pass);
  if (status !== 0) throw new Error(`bench/${name} ended with ${signal ?? `status ${status}`}`);
  return JSON.parse(readFileSync(json, 'utf8'));
}

/** Writes the report; it belongs to who asked for it, through sudo perhaps. */
function save(file: string, report: object): void {
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  const { SUDO_UID: user, SUDO_GID: group } = process.env;
  if (user !== undefined && group !== undefined) chownSync(file, Number(user), Number(group));
}

function load(averages: readonly number[]): string {
  return `load ${averages.map((average) => average.toFixed(2)).join(' ')}`;
}
