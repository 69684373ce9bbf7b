import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { waitFor } from '../src/lib/wait-for.ts';
import type { Contender, Sandbox } from './cni-call.ts';
import { startCluster } from './cni-cluster.ts';
import { type Round, race } from './cni-race.ts';
import { type Spread, ratios, spread, table } from './statistics.ts';

// CNI ADD and DEL, one at a time and in parallel, against the standard plugins ptp and host-local. All of it in
// network, mount and PID namespaces of its own, which end with it. For the goals see GOALS below.
//   node bench/cni.ts [--json FILE] [--rounds N] [--pods N] [--lanes N] [--plugins DIR] [--launcher FILE]

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url));
const ADDRESS = '192.168.99.10';
const PLACE = { plugins: '/run/bench/bin', configuration: '/run/bench/net.d', hostLocal: '/run/bench/host-local' };

/** What is compared, whether less is better, and the goal for the median of ours by theirs. */
const GOALS = [
  { key: 'addMs', what: 'ADD, one at a time', unit: 'ms', goal: 0.5, less: true },
  { key: 'delMs', what: 'DEL, one at a time', unit: 'ms', goal: 0.25, less: true },
  { key: 'parallelAdds', what: 'ADD, in parallel', unit: '/s', goal: undefined, less: false },
  { key: 'parallelDels', what: 'DEL, in parallel', unit: '/s', goal: undefined, less: false },
  { key: 'parallelPods', what: 'ADD and DEL, in parallel', unit: '/s', goal: 2, less: false },
] as const satisfies readonly {
  key: keyof Round;
  what: string;
  unit: string;
  goal: number | undefined;
  less: boolean;
}[];

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    pods: { type: 'string', default: '40' },
    lanes: { type: 'string', default: '8' },
    plugins: { type: 'string', default: '' },
    launcher: { type: 'string', default: `${CHECKOUT}.cache/launcher/romana` },
    inside: { type: 'boolean', default: false },
  },
});

if (values.inside) await inside();
else process.exitCode = outside();

/** Fetches what is missing and goes on in namespaces of its own. */
function outside(): number {
  if (process.getuid?.() !== 0) {
    process.stderr.write('bench/cni: needs root, for network namespaces\n');
    return 1;
  }
  const args = process.argv.slice(2);
  if (values.plugins === '') {
    const found = spawnSync('sh', [`${CHECKOUT}bench/cni-plugins.sh`, `${CHECKOUT}.cache`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (found.status !== 0) return 1;
    args.push('--plugins', found.stdout.trim());
  }
  if (!existsSync(values.launcher)) {
    const built = spawnSync(`${CHECKOUT}launcher/build.sh`, [values.launcher], { stdio: 'inherit' });
    if (built.status !== 0) return 1;
  }
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const again = [...namespaces, process.execPath, fileURLToPath(import.meta.url), '--inside', ...args];
  return spawnSync('unshare', again, { stdio: 'inherit' }).status ?? 1;
}

async function inside(): Promise<void> {
  const pods = Number(values.pods);
  run('mount', '-t', 'tmpfs', 'tmpfs', '/run');
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'outside');
  run('ip', 'addr', 'add', `${ADDRESS}/24`, 'dev', 'uplink');
  for (const name of ['uplink', 'outside']) run('ip', 'link', 'set', name, 'up');
  for (const folder of Object.values(PLACE)) mkdirSync(folder, { recursive: true });
  for (let n = 0; n < pods; n++) run('ip', 'netns', 'add', `pod${n}`);
  const cluster = await startCluster({
    pods,
    launcher: values.launcher,
    pluginDirectory: PLACE.plugins,
    configurationDirectory: PLACE.configuration,
    address: ADDRESS,
  });
  try {
    const sandboxes = cluster.pods.map((args, n): Sandbox => ({
      containerId: `bench-${n}`,
      netns: `/run/netns/pod${n}`,
      args,
    }));
    const [ours, theirs] = [romana(), ptp()];
    const results = await race({
      contenders: [theirs, ours],
      sandboxes,
      rounds: Number(values.rounds),
      lanes: Number(values.lanes),
      settle,
      progress: (text) => process.stderr.write(`bench/cni: ${text}\n`),
    });
    report(results.get(ours.name) ?? [], results.get(theirs.name) ?? []);
  } finally {
    await cluster.stop();
  }
}

function romana(): Contender {
  return { name: 'romana', plugins: PLACE.plugins, config: { cniVersion: '1.0.0', name: 'romana', type: 'romana' } };
}

/**
 * The standard plugins with IPv4 alone, although our pods get both families: with an IPv6 range ptp waits 1.7 s for
 * duplicate address detection, and there would be nothing to compare.
 */
function ptp(): Contender {
  const ranges = [[{ subnet: '10.99.0.0/16' }]];
  const ipam = { type: 'host-local', dataDir: PLACE.hostLocal, ranges, routes: [{ dst: '0.0.0.0/0' }] };
  const config = { cniVersion: '1.0.0', name: 'ptp', type: 'ptp', ipam };
  return { name: 'ptp + host-local', plugins: values.plugins, config };
}

/** The kernel takes our links away after the answer; what that costs must not fall on the others. */
async function settle(): Promise<void> {
  await waitFor(
    'the links to be gone',
    () => !/^(?:roma|veth)/m.test(readdirSync('/proc/sys/net/ipv4/conf').join('\n')),
  );
}

function report(ours: readonly Round[], theirs: readonly Round[]): void {
  const rows = GOALS.map(({ key, what, unit, goal, less }) => {
    const mine = ours.map((round) => round[key]);
    const other = theirs.map((round) => round[key]);
    const ratio = ratios(mine, other);
    const met = goal === undefined ? undefined : less ? ratio.median <= goal : ratio.median >= goal;
    return { key, what, unit, goal, less, met, romana: spread(mine), ptp: spread(other), ratio };
  });
  const cells = rows.map(({ what, unit, goal, less, met, romana, ptp, ratio }) => [
    `${what} (${unit})`,
    text(romana),
    text(ptp),
    text(ratio),
    goal === undefined ? '' : `${less ? 'at most' : 'at least'} ${goal}: ${met === true ? 'met' : 'not met'}`,
  ]);
  const head = [`${values.lanes} lanes, ${values.pods} pods`, 'romana', 'ptp + host-local', 'ratio', 'goal'];
  process.stdout.write(`CNI: min, median, max of ${values.rounds} rounds\n${table([head, ...cells])}\n`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ bench: 'cni', rows }, undefined, 2)}\n`);
}

function text({ min, median, max }: Spread): string {
  return [min, median, max].map((value) => value.toPrecision(3)).join(' ');
}

function run(command: string, ...args: readonly string[]): void {
  const ended = spawnSync(command, args, { encoding: 'utf8' });
  if (ended.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ended.stderr.trim()}`);
}
