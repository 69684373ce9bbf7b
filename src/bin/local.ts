import { existsSync, readFileSync } from 'node:fs';

import { Command } from 'commander';

import { localClusters } from '../kube/credentials.ts';
import {
  BASE_DIRECTORIES,
  clusterLayout,
  type ClusterLayout,
  minionsOf,
  nextMinion,
  type NodeLayout,
  parseClusterName,
} from '../local/cluster-layout.ts';
import { readState, recordedLayout } from '../local/cluster-state.ts';
import { down } from '../local/down.ts';
import { exec, parsePodName } from '../local/exec.ts';
import { join, leave } from '../local/join-leave.ts';
import { isOn } from '../local/nodes.ts';
import { powerOff } from '../local/power-off.ts';
import { powerOn } from '../local/power-on.ts';
import { MAX_SHUTDOWN_GRACE_SECONDS } from '../local/runtime/pod-manager.ts';
import { findNode, shell } from '../local/shell.ts';
import { clusterStatus, formatStatus } from '../local/status.ts';
import { checked, CHECKOUT, connectTo, DEFAULT_NAME, guarded, interruptible, locked, needRoot } from './local-call.ts';
import { makingOfRecorded, upCommand } from './local-up.ts';

/** How long a node may take to be Ready, in milliseconds. */
const READY_MS = { embedded: 60_000, kubernetes: 180_000 } as const;

interface Named {
  readonly name: string;
}

/** What is asked of a cluster that runs. */
interface Running {
  readonly name?: string;
}

/** `romana local`: a whole cluster on this machine. */
export function command(): Command {
  const local = new Command('local').description(
    'A whole cluster on this machine: a master and up to 4 minions as network namespaces, with real packets.',
  );
  const named = (name: string, description: string): Command =>
    local.command(name).description(description).option('--name <name>', 'name of the cluster', DEFAULT_NAME);
  const ofRunning = (name: string, description: string): Command =>
    withRunning(local.command(name).description(description));

  local.addCommand(upCommand());
  named('down', 'Takes a cluster down; leaves nothing of it.').action((options: Named) =>
    guarded(() => runDown(options)),
  );
  ofRunning('status', 'Shows nodes, processes, addresses and pods; status 0 when all is well.').action(
    (options: Running) => guarded(() => runStatus(options)),
  );
  addNodeCommands(
    local
      .command('node')
      .description('Switches nodes off and on, adds and removes them, as a person at the machines could.'),
  );
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
  withRunning(
    parent.command('add').description('Adds a minion, up to 4 in all, and waits until it is Ready.').argument('[name]'),
  ).action((name: string | undefined, options: Running) => guarded(() => runAdd(name, options)));
  add('remove', 'Shuts a minion down and takes it out of the cluster, with its Node and its files.', async (target) => {
    await leave({ ...target, connect: connectTo });
    return 'is removed';
  });
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

async function runAdd(name: string | undefined, options: Running): Promise<number> {
  needRoot();
  const cluster = await running(options);
  const { signal, seconds } = interruptible();
  return locked(cluster, async () => {
    // Another call may have had the lock before.
    const layout = recordedLayout(cluster.name, cluster.base);
    const minion = checked(nextMinion(minionsOf(layout), name));
    const making = await makingOfRecorded(layout);
    const readyMs = READY_MS[layout.flavour];
    await join({ layout, making, minion, checkout: CHECKOUT, connect: connectTo, signal, readyMs });
    process.stdout.write(`${minion.name} of cluster '${layout.name}' ${arrived(layout)} after ${seconds()}\n`);
    return 0;
  });
}

/** One without a network can't be Ready. */
function arrived(layout: ClusterLayout): string {
  return readState(layout)?.romana === false ? 'has reported' : 'is Ready';
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
    readyMs: READY_MS[layout.flavour],
  });
  return booted.length === 0 ? 'was on already' : `${arrived(layout)} after ${seconds()}`;
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

/** Runs a child that has the terminal: its keys are for it alone. */
function attached(work: () => Promise<number>): Promise<number> {
  needRoot();
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => undefined);
  return work();
}

function term(): string {
  return process.env['TERM'] ?? '';
}
