import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { TestNetns } from './netns.ts';
import { Probe } from './probe.ts';

const ROMANA = resolve(import.meta.dirname, '../../src/bin/romana.ts');
const METRICS_PORT = 9671;
/** For an agent to be ready, on a machine that has other things to do, in milliseconds. */
const START_MS = 30_000;
/** Where probes of hosts and pods echo what is only to show that something before it has arrived. */
export const CONTROL_PORT = 7;
const APPLIED = /^romana_agent_applied_resource_version (\d+)$/m;

/**
 * Gives the namespace that it runs in a /run, /etc and /opt of its own, as a machine has them, and lasts as long as its
 * standard input. The network namespaces of pods stay visible, those made later too.
 */
const NODE_SCRIPT = `
set -e
mkdir "$1/run"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mkdir "$1/run/netns"
mount --rbind /run/netns "$1/run/netns"
mount --rbind "$1/run" /run
for part in etc opt; do
  mkdir -p /run/rig/$part /run/rig/$part.work
  mount -t overlay overlay -o lowerdir=/$part,upperdir=/run/rig/$part,workdir=/run/rig/$part.work /$part
done
rm -rf /etc/cni/net.d /opt/cni/bin
echo ready
exec cat
`;

/** What a CNI call is about. */
export interface CniCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';
  readonly containerId?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** More for the configuration, such as prevResult. */
  readonly config?: object;
}

/** What the plugin answered. */
export interface CniAnswer {
  readonly status: number;
  /** Undefined when it printed nothing. */
  readonly json: { readonly code?: number; readonly msg?: string; readonly ips?: readonly { address: string }[] };
}

/** A host of the rig: namespaces of its own, the real agent in them, and a probe on its network. */
export class RigHost {
  readonly name: string;
  readonly ns: TestNetns;
  /** Its addresses on the fabric. */
  readonly addresses: readonly [string, string];
  readonly probe: Probe;
  readonly #node: ChildProcess;
  #agent: ChildProcess | undefined;
  #log: string[] = [];

  private constructor(
    name: string,
    ns: TestNetns,
    addresses: readonly [string, string],
    node: ChildProcess,
    probe: Probe,
  ) {
    this.name = name;
    this.ns = ns;
    this.addresses = addresses;
    this.probe = probe;
    this.#node = node;
  }

  /** Makes a host in `ns`, which is on the fabric already, without an agent. */
  static async start(
    name: string,
    ns: TestNetns,
    addresses: readonly [string, string],
    directory: string,
  ): Promise<RigHost> {
    mkdirSync(directory);
    const node = ns.spawn(['sh', '-c', NODE_SCRIPT, 'sh', directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (node.stdout === null) throw new Error('RigHost: the node has no standard output');
    const ready = once(createInterface({ input: node.stdout }), 'line', { signal: AbortSignal.timeout(10_000) });
    const [probe] = await Promise.all([Probe.start(ns), ready]);
    await Promise.all([probe.listenUdp(CONTROL_PORT), probe.listenTcp(CONTROL_PORT)]);
    return new RigHost(name, ns, addresses, node, probe);
  }

  /** Its address of a family. */
  address(family: 4 | 6): string {
    return this.addresses[family === 4 ? 0 : 1];
  }

  /** The file system as the host has it, e.g. `path('/run/romana/leases')`. */
  path(inside: string): string {
    return join(`/proc/${this.#node.pid}/root`, inside);
  }

  /** What the agent has logged last. */
  get log(): string {
    return this.#log.slice(-40).join('\n');
  }

  /** Starts `romana agent`, with more options and of the checkout unless told, and waits until it connects pods. */
  async startAgent(kubeconfig: string, more: readonly string[] = [], program = ROMANA): Promise<void> {
    this.launchAgent(kubeconfig, more, program);
    await this.agentReady();
  }

  /** Starts `romana agent`, with more options, and waits for nothing. */
  launchAgent(kubeconfig: string, more: readonly string[] = [], program = ROMANA): void {
    const options = ['--node', this.name, '--kubeconfig', kubeconfig, ...more];
    // An agent does not outlive the test, whatever becomes of it.
    const command = ['setpriv', '--pdeathsig', 'KILL', process.execPath, program, 'agent', ...options];
    const agent = spawn('nsenter', [...this.enter, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#agent = agent;
    for (const stream of [agent.stdout, agent.stderr]) {
      createInterface({ input: stream }).on('line', (line) => void this.#log.push(line));
    }
  }

  /** Waits until the agent connects pods. */
  async agentReady(): Promise<void> {
    const agent = this.#agent;
    const what = `the agent of ${this.name} to be ready`;
    await waitFor(what, async () => agent?.exitCode !== null || (await this.#get('readyz')) === 'ok\n', {
      everyMs: 20,
      timeoutMs: START_MS,
    });
    if (agent?.exitCode !== null) throw new Error(`the agent of ${this.name} has ended: ${this.log}`);
  }

  /** The agent's process. @throws Error when none runs */
  get agentPid(): number {
    const pid = this.#agent?.pid;
    if (pid === undefined) throw new Error(`no agent runs on ${this.name}`);
    return pid;
  }

  /** Ends the agent by a signal and waits for its end. */
  async stopAgent(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
    const ended = once(agent, 'exit');
    agent.kill(signal);
    await ended;
    if (signal === 'SIGTERM' && agent.exitCode !== 0) {
      throw new Error(`the agent of ${this.name} ended with status ${agent.exitCode}: ${this.log}`);
    }
  }

  /**
   * What is left of the host when it has lost its power and is up again: the agent has died, and of the kernel and of
   * /run nothing of ours is there any more. The agent is not started.
   */
  async reboot(): Promise<void> {
    await this.stopAgent('SIGKILL');
    const script = `
      for link in /sys/class/net/roma*; do [ ! -e "$link" ] || ip link delete "\${link##*/}"; done
      for family in -4 -6; do ip $family route flush proto 82; done
      nft flush ruleset
      echo 0 >/proc/sys/net/ipv4/ip_forward
      echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
    `;
    await this.ns.run(['sh', '-ec', script]);
    using conntrack = Conntrack.open({ netns: this.ns.path });
    conntrack.remove(conntrack.list());
    rmSync(this.path('/run/romana'), { recursive: true, force: true });
  }

  /** The resource version up to which everything is in force here. */
  async applied(): Promise<number> {
    return Number(APPLIED.exec(await this.#get('metrics'))?.[1] ?? 0);
  }

  /** The agent's metrics: values by name and labels, e.g. `romana_agent_watch_events_total{resource="pods",type="ADDED"}`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const samples = (await this.#get('metrics')).matchAll(/^(romana_\S+?(?:\{.*\})?) (\S+)$/gm);
    return new Map(Array.from(samples, ([, name = '', value]) => [name, Number(value)]));
  }

  /** Calls the plugin as a container runtime does. */
  async cni({ command, containerId, netns, ifname = 'eth0', args, config = {} }: CniCall): Promise<CniAnswer> {
    const env = {
      CNI_COMMAND: command,
      CNI_PATH: '/opt/cni/bin',
      CNI_IFNAME: ifname,
      ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId }),
      ...(netns === undefined ? {} : { CNI_NETNS: netns }),
      ...(args === undefined ? {} : { CNI_ARGS: args }),
    };
    const plugin = spawn('nsenter', [...this.enter, '/opt/cni/bin/romana'], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    plugin.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    plugin.stdin.on('error', () => undefined); // told by the exit status
    plugin.stdin.end(JSON.stringify({ cniVersion: '1.1.0', name: 'romana', type: 'romana', ...config }));
    await once(plugin, 'close');
    return { status: plugin.exitCode ?? -1, json: said === '' ? {} : (JSON.parse(said) as CniAnswer['json']) };
  }

  /** Runs a command as a process of the host does, whatever its status. */
  run(command: readonly [string, ...string[]]): {
    readonly status: number;
    readonly stdout: string;
    readonly stderr: string;
  } {
    const { status, stdout, stderr, error } = spawnSync('nsenter', [...this.enter, ...command], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    if (error !== undefined) throw error;
    return { status: status ?? -1, stdout, stderr };
  }

  /** What the kernel and the disk hold of pods: links, routes, neighbours, rules, leases. As text, to be compared. */
  state(): string {
    const run = (...command: string[]): string =>
      execFileSync('ip', ['netns', 'exec', this.ns.name, ...command], { encoding: 'utf8' });
    const leases = this.path('/run/romana/leases');
    const names = existsSync(leases) ? readdirSync(leases).sort() : [];
    return [
      run('ip', '-brief', 'link').replaceAll(/ +$/gm, ''),
      ...['-4', '-6'].map((family) => run('ip', family, 'route', 'show', 'table', 'all', 'proto', '82')),
      run('ip', 'neighbour', 'show', 'nud', 'permanent'),
      // In the order of their making, which says nothing; the table's own braces are with the first and the last.
      ...run('nft', '-s', 'list', 'table', 'inet', 'romana')
        .trim()
        .slice('table inet romana {\n'.length, -2)
        .split('\n\n')
        .sort(),
      ...names.map((name) => `${name}: ${readFileSync(join(leases, name), 'utf8')}`),
    ].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAgent('SIGKILL');
  }

  /** The arguments of `nsenter` before a command that is to run as a process of the host does. */
  get enter(): readonly string[] {
    return [`--mount=/proc/${this.#node.pid}/ns/mnt`, `--net=${this.ns.path}`, '--'];
  }

  #get(path: string): Promise<string> {
    return this.probe.get(`http://127.0.0.1:${METRICS_PORT}/${path}`);
  }
}
