import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Command } from 'commander';

import { clusterPlans } from '../addr/cluster-plans.ts';
import { formatPlan } from '../addr/plan.ts';
import { localClusters } from '../kube/credentials.ts';
import { HttpKubeClient } from '../kube/http-client.ts';
import type { Result } from '../lib/result.ts';
import {
  BASE_DIRECTORIES,
  clusterLayout,
  type ClusterLayout,
  type NodeLayout,
  parseClusterName,
  parseMinions,
} from '../local/cluster-layout.ts';
import { takeLock } from '../local/cluster-lock.ts';
import { readState, recordedLayout } from '../local/cluster-state.ts';
import { down } from '../local/down.ts';
import { embedded } from '../local/embedded.ts';
import { exec, parsePodName } from '../local/exec.ts';
import { networkObject } from '../local/install-objects.ts';
import { isOn } from '../local/nodes.ts';
import { parseOwnKubeconfig } from '../local/pki.ts';
import { powerOff } from '../local/power-off.ts';
import { powerOn } from '../local/power-on.ts';
import { MAX_SHUTDOWN_GRACE_SECONDS } from '../local/runtime/pod-manager.ts';
import { servicesOf } from '../local/services.ts';
import { findNode, shell } from '../local/shell.ts';
import { clusterStatus, formatStatus } from '../local/status.ts';
import { up } from '../local/up.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const DEFAULT_NAME = 'romana';
const DEFAULT_MINIONS = 2;
/** How long all nodes may take to be Ready, in milliseconds. */
const READY_MS = 60_000;
/** Status of a call whose words are off. */
const BAD_USAGE = 2;

interface Named {
  readonly name: string;
}

/** What is asked of a cluster that runs. */
interface Running {
  readonly name?: string;
}

/** A call whose words are off. */
class UsageError extends Error {}

/** `romana local`: a whole cluster on this machine. */
export function command(): Command {
  const local = new Command('local').description(
    'A whole cluster on this machine: a master and up to 4 minions as network namespaces, with real packets.',
  );
  const named = (name: string, description: string): Command =>
    local.command(name).description(description).option('--name <name>', 'name of the cluster', DEFAULT_NAME);
  const ofRunning = (name: string, description: string): Command =>
    withRunning(local.command(name).description(description));

  named('up', 'Brings a cluster up; boots nodes of it that are off.')
    .option('--minions <number>', 'minions beside the master, 1 to 4')
    .option(
      '--plan <plan>',
      'address plan, CIDR:HOST,TENANT,SEGMENT,ENDPOINT bits, once a family (10.0.0.0/8:8,4,4,8 and fd00:10::/64:16,16,16,16)',
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .action((options: UpWords) => guarded(() => runUp(options)));
  named('down', 'Takes a cluster down; leaves nothing of it.').action((options: Named) =>
    guarded(() => runDown(options)),
  );
  ofRunning('status', 'Shows nodes, processes, addresses and pods; status 0 when all is well.').action(
    (options: Running) => guarded(() => runStatus(options)),
  );
  addNodeCommands(local.command('node').description('Switches a node off and on, as a person at the machine could.'));
  ofRunning('kubeconfig', 'Prints the kubeconfig for people on this machine.').action((options: Running) =>
    guarded(async () => {
      process.stdout.write(readFileSync((await running(options)).kubeconfig, 'utf8'));
      return 0;
    }),
  );
  ofRunning('shell', 'A shell in a node, or a command there.')
    .argument('<node>', 'master, minion1, ...')
    .argument('[command...]', 'after --: what to run instead of an interactive shell')
    .action((node: string, words: readonly string[], options: Running) =>
      guarded(() =>
        attached(async () =>
          shell({ layout: await running(options), node, command: words, checkout: CHECKOUT, term: term() }),
        ),
      ),
    );
  ofRunning('exec', 'Runs a command in a pod, with its output and exit status.')
    .argument('<namespace/pod>', 'a name alone is in the namespace default')
    .argument('<command...>', 'after --')
    .option('-c, --container <name>', 'a container of the pod, if not the first')
    .action((pod: string, words: readonly string[], options: Running & { readonly container?: string }) =>
      guarded(() =>
        attached(async () => {
          const name = checked(parsePodName(pod));
          return exec({
            layout: await running(options),
            pod: name,
            container: options.container,
            command: words,
            term: term(),
          });
        }),
      ),
    );
  return local;
}

function withRunning(command: Command): Command {
  return command.option(
    '--name <name>',
    `name of the cluster; without it ${DEFAULT_NAME}, else the only one that runs`,
  );
}

function addNodeCommands(parent: Command): void {
  const add = (name: string, description: string, run: (target: Target) => Promise<string>): void => {
    withRunning(parent.command(name).description(description).argument('<node>', 'master, minion1, ...')).action(
      (node: string, options: Running) => guarded(() => runOnNode(node, options, run)),
    );
  };
  add('stop', 'Shuts a node down: its pods get SIGTERM and their grace, then its services end.', async (target) =>
    turnOff(target, 'shutdown'),
  );
  add('kill', 'Cuts the power of a node: nothing ends in order, and only /var/lib and /var/log are kept.', (target) =>
    turnOff(target, 'cut'),
  );
  add('start', 'Boots a node that is off, and waits until it is Ready; its pods run again.', turnOn);
}

/** A node that one of the node commands is about. */
interface Target {
  readonly layout: ClusterLayout;
  readonly node: NodeLayout;
}

async function runOnNode(name: string, options: Running, run: (target: Target) => Promise<string>): Promise<number> {
  needRoot();
  const layout = await running(options);
  const node = findNode(layout, name);
  const done = await locked(layout, () => run({ layout, node }));
  process.stdout.write(`${node.name} of cluster '${layout.name}' ${done}\n`);
  return 0;
}

async function turnOff({ layout, node }: Target, how: 'shutdown' | 'cut'): Promise<string> {
  const was = isOn(node);
  if (was && how === 'shutdown') {
    process.stderr.write(`its pods have their grace to end, at most ${MAX_SHUTDOWN_GRACE_SECONDS} s\n`);
  }
  await powerOff(layout, node, how);
  return was ? 'is off' : 'was off already';
}

async function turnOn({ layout, node }: Target): Promise<string> {
  const { signal, seconds } = interruptible();
  const booted = await powerOn({
    layout,
    nodes: [node],
    checkout: CHECKOUT,
    connect: connectTo,
    signal,
    readyMs: READY_MS,
  });
  return booted.length === 0 ? 'was on already' : `is Ready after ${seconds()}`;
}

interface UpWords extends Named {
  readonly minions?: string;
  readonly plan: readonly string[];
}

async function runUp(options: UpWords): Promise<number> {
  const name = checked(parseClusterName(options.name));
  const plans = checked(clusterPlans(options.plan));
  needRoot();
  const recorded = readState(clusterLayout(name, 1));
  // A repeated `up` without a number takes the cluster as it is.
  const minions =
    options.minions === undefined ? (recorded?.minions ?? DEFAULT_MINIONS) : checked(parseMinions(options.minions));
  const planTexts = options.plan.length === 0 && recorded?.complete === true ? recorded.plans : plans.map(formatPlan);
  const layout = clusterLayout(name, minions);
  const { signal, seconds } = interruptible();
  const namespaces = await installedNamespaces();
  const outcome = await locked(layout, () =>
    up({
      layout,
      plans: planTexts,
      making: embedded({
        network: networkObject(plans),
        namespaces,
        services: (node) => servicesOf(node, CHECKOUT, findNginx()),
        cniPlugins: findCniPlugins(),
      }),
      checkout: CHECKOUT,
      connect: connectTo,
      owner: { uid: Number(process.env['SUDO_UID'] ?? 0), gid: Number(process.env['SUDO_GID'] ?? 0) },
      progress: (step) => process.stderr.write(`[${seconds()}] ${step}\n`),
      signal,
      readyMs: READY_MS,
    }),
  );
  const what = `cluster '${name}': master and ${minions} ${minions === 1 ? 'minion' : 'minions'}`;
  const done = { made: 'up', booted: 'up again', already: 'was up already' }[outcome];
  process.stdout.write(`${what}, ${done}${outcome === 'already' ? '' : ` in ${seconds()}`}\n`);
  return 0;
}

/** What ends a long wait, and how long it has taken. */
function interruptible(): { readonly signal: AbortSignal; readonly seconds: () => string } {
  const abort = new AbortController();
  const interrupt = (): void => abort.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const began = performance.now();
  return { signal: abort.signal, seconds: () => `${((performance.now() - began) / 1000).toFixed(1)} s` };
}

function connectTo(kubeconfigFile: string): HttpKubeClient {
  return new HttpKubeClient(parseOwnKubeconfig(readFileSync(kubeconfigFile, 'utf8')).connection);
}

async function runDown(options: Named): Promise<number> {
  const name = checked(parseClusterName(options.name));
  needRoot();
  const was = await locked(clusterLayout(name, 1), () => down(name, BASE_DIRECTORIES));
  process.stdout.write(was ? `cluster '${name}' is down\n` : `there is no cluster '${name}'\n`);
  return 0;
}

async function runStatus(options: Running): Promise<number> {
  needRoot();
  const layout = await running(options);
  const client = connectTo(layout.kubeconfig);
  try {
    const status = await clusterStatus(layout, client);
    process.stdout.write(formatStatus(layout.name, status));
    return status.problems.length === 0 ? 0 : 1;
  } finally {
    await client.close();
  }
}

/** The layout of a cluster that `up` made: the one named, else the default one, else the only one. @throws Error when there is none */
async function running(options: Running): Promise<ClusterLayout> {
  const clusters = options.name === undefined ? await localClusters() : [];
  if (clusters.length > 1 && !clusters.includes(DEFAULT_NAME)) {
    throw new Error(`several local clusters run (${clusters.join(', ')}): say which with --name`);
  }
  const only = clusters.includes(DEFAULT_NAME) ? DEFAULT_NAME : clusters[0];
  const name = checked(parseClusterName(options.name ?? only ?? DEFAULT_NAME));
  const layout = recordedLayout(name, BASE_DIRECTORIES);
  if (!existsSync(layout.kubeconfig)) {
    throw new Error(
      `there is no cluster '${name}'; bring it up: romana local up${name === DEFAULT_NAME ? '' : ` --name ${name}`}`,
    );
  }
  return layout;
}

async function locked<T>(layout: ClusterLayout, work: () => Promise<T>): Promise<T> {
  const lock = takeLock(layout.lockFile);
  if (!lock.ok) throw new Error(lock.error);
  try {
    return await work();
  } finally {
    lock.value.release();
  }
}

/** Runs a child that has the terminal: its keys are for it alone. */
function attached(work: () => Promise<number>): Promise<number> {
  needRoot();
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => undefined);
  return work();
}

async function guarded(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    process.stderr.write(`romana: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? BAD_USAGE : 1;
  }
}

function checked<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new UsageError(result.error);
}

function needRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('this needs root, for network namespaces; try it with sudo');
}

function term(): string {
  return process.env['TERM'] ?? '';
}

/** The tenants that every installation brings. */
async function installedNamespaces(): Promise<readonly object[]> {
  const { parse } = await import('yaml');
  const directory = join(CHECKOUT, 'deploy/demo');
  return readdirSync(directory)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => parse(readFileSync(join(directory, file), 'utf8')) as { readonly kind?: unknown })
    .filter((object) => object.kind === 'Namespace');
}

/** Debian's CNI plugins, as installed or as the set-up unpacked them. */
function findCniPlugins(): string | undefined {
  const folders = ['/usr/lib/cni', join(CHECKOUT, '.cache/cni-plugins/usr/lib/cni')];
  return folders.find((folder) => existsSync(join(folder, 'portmap')));
}

/** Debian's nginx: the set-up's, else the machine's own. */
function findNginx(): string | undefined {
  return [join(CHECKOUT, '.cache/nginx'), '/'].find((directory) => existsSync(join(directory, 'usr/sbin/nginx')));
}
