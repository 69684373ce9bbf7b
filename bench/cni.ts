import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Caller, type Contender, type Sandbox } from './cni-call.ts';
import { POLICY, ROMANA, startCluster } from './cni-cluster.ts';
import { race } from './cni-race.ts';
import { cniReport, cniTable } from './cni-report.ts';
import { builtLauncher, linksGone, makeHost, run, runInside } from './own-host.ts';

// CNI ADD and DEL, one at a time and in parallel, against the standard plugins ptp and host-local. All of it in
// network, mount and PID namespaces of its own, which end with it. For the goals see cni-report.ts.
//   node bench/cni.ts [--json FILE] [--rounds N] [--pods N] [--lanes N] [--peer NAME=DIR]...

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url));
const ADDRESS = '192.168.99.10';
const HOST_LOCAL = '/run/bench/host-local';
const CALLS = '/run/bench/calls';

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
    inside: { type: 'boolean', default: false },
  },
});

if (values.inside) await inside();
else process.exitCode = outside();

/** Fetches what is missing and goes on in namespaces of its own. */
function outside(): number {
  const args = process.argv.slice(2);
  if (values.peer.length === 0) {
    for (const { script, label, needed } of PEERS) {
      const found = spawnSync('sh', [`${CHECKOUT}scripts/${script}`, `${CHECKOUT}.cache`], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [folder = '', version] = found.stdout.trim().split('\n');
      if (needed && found.status !== 0) return 1;
      if (folder !== '') args.push('--peer', `${label} ptp ${version}=${folder}`);
    }
  }
  builtLauncher();
  return runInside(fileURLToPath(import.meta.url), args);
}

async function inside(): Promise<void> {
  const pods = Number(values.pods);
  makeHost(ADDRESS, pods);
  for (const folder of [HOST_LOCAL, CALLS]) mkdirSync(folder, { recursive: true });
  const cluster = await startCluster({ pods, launcher: builtLauncher(), address: ADDRESS });
  try {
    const sandboxes = cluster.pods;
    const ours = ROMANA;
    const peers = values.peer.map((text) => ptp(text));
    const caller = new Caller(CALLS);
    provePolicy(caller, ours, sandboxes);
    const result = await race({
      caller,
      contenders: [...peers, ours],
      sandboxes,
      rounds: Number(values.rounds),
      lanes: Number(values.lanes),
      // What the kernel does after an answer must not fall on the others.
      settle: linksGone,
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

/**
 * The standard plugins with IPv4 alone, although our pods get both families: with an IPv6 range ptp waits 1.7 s for
 * duplicate address detection, and there would be nothing to compare.
 */
function ptp(peer: string): Contender {
  const [name = '', plugins = ''] = peer.split('=');
  const ranges = [[{ subnet: '10.99.0.0/16' }]];
  const dataDir = `${HOST_LOCAL}/${name.replaceAll(/\W/g, '-')}`;
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
