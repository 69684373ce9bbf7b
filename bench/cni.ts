import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { waitFor } from '../src/lib/wait-for.ts';
import { Caller, type Contender, type Sandbox } from './cni-call.ts';
import { POLICY, startCluster } from './cni-cluster.ts';
import { race } from './cni-race.ts';
import { cniReport, cniTable } from './cni-report.ts';

// CNI ADD and DEL, one at a time and in parallel, against the standard plugins ptp and host-local. All of it in
// network, mount and PID namespaces of its own, which end with it. For the goals see cni-report.ts.
//   node bench/cni.ts [--json FILE] [--rounds N] [--pods N] [--lanes N] [--peer NAME=DIR]... [--launcher FILE]

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url));
const ADDRESS = '192.168.99.10';
/** Calls are waited for without a limit of their own; no bench takes so long. */
const LIMIT_MS = 20 * 60_000;
const PLACE = {
  plugins: '/run/bench/bin',
  configuration: '/run/bench/net.d',
  hostLocal: '/run/bench/host-local',
  calls: '/run/bench/calls',
};

/** The contender that goals are judged by, and the one that is shown beside it where Go can build it. */
const PEERS = [
  { script: 'cni-plugins.sh', label: "Debian's", needed: true },
  { script: 'cni-plugins-go.sh', label: 'newest', needed: false },
] as const;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    pods: { type: 'string', default: '40' },
    lanes: { type: 'string', default: '8' },
    peer: { type: 'string', multiple: true, default: [] },
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
  if (values.peer.length === 0) {
    for (const { script, label, needed } of PEERS) {
      const found = spawnSync('sh', [`${CHECKOUT}bench/${script}`, `${CHECKOUT}.cache`], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [folder = '', version] = found.stdout.trim().split('\n');
      if (needed && found.status !== 0) return 1;
      if (folder !== '') args.push('--peer', `${label} ptp ${version}=${folder}`);
    }
  }
  if (!existsSync(values.launcher)) {
    const built = spawnSync(`${CHECKOUT}launcher/build.sh`, [values.launcher], { stdio: 'inherit' });
    if (built.status !== 0) return 1;
  }
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const again = [...namespaces, process.execPath, fileURLToPath(import.meta.url), '--inside', ...args];
  return spawnSync('unshare', again, { stdio: 'inherit', timeout: LIMIT_MS, killSignal: 'SIGKILL' }).status ?? 1;
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
    const ours = romana();
    const peers = values.peer.map((text) => ptp(text));
    const caller = new Caller(PLACE.calls);
    provePolicy(caller, ours, sandboxes);
    const result = await race({
      caller,
      contenders: [...peers, ours],
      sandboxes,
      rounds: Number(values.rounds),
      lanes: Number(values.lanes),
      settle,
      progress: (text) => process.stderr.write(`bench/cni: ${text}\n`),
    });
    const report = cniReport(
      result,
      ours.name,
      peers.map(({ name }) => name),
    );
    process.stdout.write(
      `CNI, ${pods} pods in an isolated namespace, each under a policy; in parallel: ${values.lanes} at a time; ` +
        `${values.rounds} rounds\n${cniTable(report)}\n`,
    );
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
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
function ptp(peer: string): Contender {
  const [name = '', plugins = ''] = peer.split('=');
  const ranges = [[{ subnet: '10.99.0.0/16' }]];
  const dataDir = `${PLACE.hostLocal}/${name.replaceAll(/\W/g, '-')}`;
  const ipam = { type: 'host-local', dataDir, ranges, routes: [{ dst: '0.0.0.0/0' }] };
  const config = { cniVersion: '1.0.0', name: 'ptp', type: 'ptp', ipam };
  return { name, plugins, config };
}

/**
 * Policy is in what is measured: at the answer to an ADD the kernel has the pod's endpoint, the chain of the policy
 * that selects it and the map elements that lead there. @throws Error saying what it lacks.
 */
function provePolicy(caller: Caller, ours: Contender, sandboxes: readonly Sandbox[]): void {
  const [sandbox] = sandboxes;
  if (sandbox === undefined) throw new Error('no pods, nothing to measure');
  const answer = JSON.parse(caller.alone(ours, 'ADD', sandbox).said) as {
    readonly ips: { readonly address: string }[];
  };
  const rules = run('nft', 'list', 'table', 'inet', 'romana');
  caller.alone(ours, 'DEL', sandbox);
  for (const { address } of answer.ips) {
    const pod = RegExp.escape(address.replace(/\/.*/, ''));
    const chain = new RegExp(`[ ,]${pod} : jump ([-\\w]+)`).exec(rules)?.[1];
    if (chain === undefined) throw new Error(`the answer to ADD came before ${address} was in a map of policies`);
    if (!new RegExp(`chain ${chain} \\{\\s+comment "[^"]*${POLICY}`).test(rules))
      throw new Error(`the chain ${chain} of ${address} is not that of the policy ${POLICY}:\n${rules}`);
    if (!new RegExp(`"roma\\w+" \\. ${pod}\\b`).test(rules))
      throw new Error(`the answer to ADD came before ${address} was among the endpoints:\n${rules}`);
  }
}

/** The kernel takes our links away after the answer; what that costs must not fall on the others. */
async function settle(): Promise<void> {
  await waitFor(
    'the links to be gone',
    () => !/^(?:roma|veth)/m.test(readdirSync('/proc/sys/net/ipv4/conf').join('\n')),
  );
}

function run(command: string, ...args: readonly string[]): string {
  const ended = spawnSync(command, args, { encoding: 'utf8' });
  if (ended.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ended.stderr.trim()}`);
  return ended.stdout;
}
