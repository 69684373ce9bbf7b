import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../lib/clock.ts';
import { runCommand } from '../run-command.ts';
import { isAlive, type ProcessIdentity, processesIn, signalProcess, waitGone } from '../process-identity.ts';
import type { Attachment, CniRunner } from './cni-runner.ts';
import { StartError } from './container-loop.ts';
import type { Recipe } from './images.ts';
import { LineReader } from './line-reader.ts';
import { logFile, podLogDirectory } from './log-files.ts';
import type { Container, PodDriver, Sandbox } from './pod-driver.ts';
import type { ContainerRecord, ExitRecord, SandboxRecord } from './pod-record.ts';
import type { ContainerSpec, PodSpec } from './pod-spec.ts';

/** What the driver needs of its node. */
export interface MachineDriverOptions {
  readonly cni: CniRunner;
  /** Below /run: containers' exits, pods' hosts files and the tree of their roots. */
  readonly directory: string;
  /** `/var/run/netns`, as containerd has it. */
  readonly netnsDirectory: string;
  readonly logDirectory: string;
  /** Stays visible in pods. */
  readonly checkout: string;
  /** PATH of `nsenter`, `unshare`, `ip`, `mount`. */
  readonly path: string;
  readonly clock: Clock;
}

/** The interface that CNI makes in a pod. */
const IFNAME = 'eth0';
const LOCALHOST = '127.0.0.1 localhost\n::1 localhost\n';
/** How often a process is looked at that is no child of this one, in milliseconds. */
const POLL_MS = 200;
/** How long killed processes may take to be gone, in milliseconds. */
const KILLED_MS = 10_000;

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Pods on this machine: namespaces and processes through util-linux, networks through CNI. */
export class MachineDriver implements PodDriver {
  readonly #options: MachineDriverOptions;
  readonly #env: Record<string, string>;

  constructor(options: MachineDriverOptions) {
    this.#options = options;
    this.#env = { PATH: options.path, LANG: 'C.UTF-8' };
  }

  /** Makes what all pods share. Call it once, before anything else. */
  async prepare(): Promise<void> {
    const { directory, netnsDirectory } = this.#options;
    mkdirSync(netnsDirectory, { recursive: true });
    mkdirSync(`${directory}/containers`, { recursive: true, mode: 0o700 });
    await runCommand('sh', [script('pod-root.sh'), this.#root], { env: this.#env });
  }

  planSandbox(pod: PodSpec): SandboxRecord {
    const netns = pod.hostNetwork ? '' : `${this.#options.netnsDirectory}/cni-${randomUUID()}`;
    return { id: randomBytes(32).toString('hex'), netns, pid: 0, startTime: '', addresses: [] };
  }

  async createSandbox(pod: PodSpec, planned: SandboxRecord): Promise<Sandbox> {
    const { cni, directory, checkout } = this.#options;
    if (planned.netns !== '') cni.network(); // Without a network nothing is begun.
    const hosts = pod.hostNetwork ? '/etc/hosts' : `${directory}/${pod.uid}.hosts`;
    const net: string[] = [];
    if (planned.netns !== '') {
      writeFileSync(hosts, LOCALHOST);
      writeFileSync(planned.netns, ''); // What the namespace is mounted on.
      net.push(`--net=${planned.netns}`);
    }
    const child = spawn(
      'unshare',
      [
        ...net,
        '--mount',
        '--uts',
        '--ipc',
        '--pid',
        '--fork',
        '--kill-child',
        'sh',
        script('sandbox-init.sh'),
        this.#root,
        pod.hostNetwork ? '' : pod.hostname,
        hosts,
        checkout,
      ],
      { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: this.#env },
    );
    const said = new LineReader(child, child.stdout, child.stderr);
    try {
      const [pid = '', startTime = ''] = (await said.next()).split(' ');
      // Both are awaited to their ends, so that no ADD is under way when DEL comes.
      const [added, ready] = await Promise.allSettled([this.#attach(pod, planned, hosts), said.next()]);
      if (added.status === 'rejected') throw added.reason;
      if (ready.status === 'rejected') throw ready.reason;
      return { record: { ...planned, pid: Number(pid), startTime, addresses: added.value }, gone: childGone(child) };
    } catch (error) {
      child.kill('SIGKILL'); // --kill-child takes the sandbox's process along
      throw error;
    } finally {
      said.close();
      child.unref();
    }
  }

  /** Calls ADD and writes the addresses into the pod's hosts file. */
  async #attach(pod: PodSpec, planned: SandboxRecord, hosts: string): Promise<readonly string[]> {
    if (planned.netns === '') return [];
    if (!pod.capabilities.ok) throw new Error(pod.capabilities.error);
    const attachment = { ...attachmentOf(pod, planned), capabilities: pod.capabilities.value };
    const addresses = await this.#options.cni.add(attachment);
    const own = addresses.map((address) => `${address} ${pod.hostname}\n`);
    writeFileSync(hosts, `${LOCALHOST}${own.join('')}`);
    return addresses;
  }

  adoptSandbox(record: SandboxRecord): Sandbox | undefined {
    const identity = { pid: record.pid, startTime: record.startTime };
    if (record.pid === 0 || !isAlive(identity)) return undefined;
    return { record, gone: this.#pollGone(identity) };
  }

  async removeSandbox(pod: Pick<PodSpec, 'namespace' | 'name' | 'uid'>, record: SandboxRecord): Promise<void> {
    const { cni, directory } = this.#options;
    // Containers first: they end with their process 1, and hold the network namespace as long as they run.
    const inside = record.netns === '' ? [] : processesIn([record.netns]);
    const holder = { pid: record.pid, startTime: record.startTime };
    const rest = inside.filter((process) => process.pid !== record.pid);
    for (const process of rest) signalProcess(process, 'SIGKILL');
    await Promise.all(rest.map((process) => waitGone(process, KILLED_MS)));
    if (record.netns !== '') {
      const netns = existsSync(record.netns) ? record.netns : '';
      await cni.del(attachmentOf(pod, { ...record, netns }));
    }
    if (record.pid !== 0 && signalProcess(holder, 'SIGKILL')) await waitGone(holder, KILLED_MS);
    if (record.netns !== '' && existsSync(record.netns)) {
      // Not mounted when its making was cut short.
      await runCommand('umount', [record.netns], { env: this.#env }).catch(() => undefined);
      rmSync(record.netns, { force: true });
    }
    rmSync(`${directory}/${pod.uid}.hosts`, { force: true });
  }

  async startContainer(
    pod: PodSpec,
    sandbox: SandboxRecord,
    container: ContainerSpec,
    recipe: Recipe,
    restartCount: number,
  ): Promise<Container> {
    const id = randomBytes(32).toString('hex');
    const directory = this.#containerDirectory(id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = logFile(this.#options.logDirectory, pod, container.name, restartCount);
    mkdirSync(podLogDirectory(this.#options.logDirectory, pod), { recursive: true });
    const env = { HOSTNAME: pod.hostname, HOME: '/root', ...recipe.env };
    const log = openSync(file, 'a');
    // The shell writes down how the container ended, even if this process is not there then.
    const shim = '"$@"; code=$?; exec 3>&-; echo "$code" > "$0.new"; mv "$0.new" "$0"';
    const child = spawn(
      'sh',
      [
        '-c',
        shim,
        `${directory}/exit`,
        'unshare',
        '--pid',
        '--fork',
        '--kill-child',
        'sh',
        script('container-init.sh'),
        String(sandbox.pid),
        container.workingDir,
        'env',
        '--ignore-environment',
        ...Object.entries(env).map(([key, value]) => `${key}=${value}`),
        ...recipe.command,
      ],
      { detached: true, stdio: ['ignore', log, log, 'pipe'], env: this.#env },
    );
    closeSync(log);
    const pipe = child.stdio[3] as Readable; // Opened as a pipe above.
    const said = new LineReader(child, pipe, undefined);
    try {
      const [pid = '', startTime = ''] = (await said.next()).split(' ');
      const record: ContainerRecord = {
        name: container.name,
        id,
        sandboxId: sandbox.id,
        pid: Number(pid),
        startTime,
        startedAt: timestamp(this.#options.clock.now()),
        restartCount,
        env,
        workingDir: container.workingDir,
      };
      return this.#container(record, childGone(child));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StartError('RunContainerError', `failed to start container ${container.name}: ${why}`, { cause });
    } finally {
      said.close();
      child.unref();
    }
  }

  adoptContainer(_pod: Pick<PodSpec, 'uid'>, record: ContainerRecord): Container {
    if (record.exit !== undefined) {
      return { record, exited: Promise.resolve(record.exit), signal: () => undefined };
    }
    return this.#container(record, this.#pollGone({ pid: record.pid, startTime: record.startTime }));
  }

  forget(pod: Pick<PodSpec, 'uid' | 'namespace' | 'name'>): void {
    rmSync(podLogDirectory(this.#options.logDirectory, pod), { recursive: true, force: true });
    rmSync(`${this.#options.directory}/${pod.uid}.hosts`, { force: true });
  }

  get #root(): string {
    return `${this.#options.directory}/pod-root`;
  }

  #containerDirectory(id: string): string {
    return `${this.#options.directory}/containers/${id}`;
  }

  #container(record: ContainerRecord, gone: Promise<void>): Container {
    const identity = { pid: record.pid, startTime: record.startTime };
    return {
      record,
      exited: gone.then(() => this.#readExit(record)),
      signal: (signal) => void signalProcess(identity, signal),
    };
  }

  /** What the shim wrote; it needs a moment after the container's end when it is not our child. */
  async #readExit(record: ContainerRecord): Promise<ExitRecord> {
    const { clock } = this.#options;
    const directory = this.#containerDirectory(record.id);
    let code = 137; // The shim was killed too: with the whole sandbox.
    for (let tries = 0; tries < 10; tries += 1) {
      if (existsSync(`${directory}/exit`)) {
        code = Number(readFileSync(`${directory}/exit`, 'utf8'));
        break;
      }
      await clock.sleep(POLL_MS / 4);
    }
    rmSync(directory, { recursive: true, force: true });
    return { code, finishedAt: timestamp(clock.now()) };
  }

  async #pollGone(identity: ProcessIdentity): Promise<void> {
    while (isAlive(identity)) await this.#options.clock.sleep(POLL_MS);
  }
}

/** How CNI is told of a sandbox, in containerd's order. */
function attachmentOf(pod: Pick<PodSpec, 'namespace' | 'name' | 'uid'>, sandbox: SandboxRecord): Attachment {
  return {
    containerId: sandbox.id,
    netns: sandbox.netns,
    ifname: IFNAME,
    args: [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAMESPACE', pod.namespace],
      ['K8S_POD_NAME', pod.name],
      ['K8S_POD_INFRA_CONTAINER_ID', sandbox.id],
      ['K8S_POD_UID', pod.uid],
    ],
  };
}

function childGone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** RFC 3339 to the second. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
