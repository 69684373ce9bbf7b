import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { waitFor } from '../lib/wait-for.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict } from '../kube/client.ts';
import { NAMESPACES, NETWORKS, NODES } from '../objects/resources.ts';
import { bringDown, isRecorded } from './bring-down.ts';
import type { ClusterLayout } from './cluster-layout.ts';
import { type ClusterState, readState, recordedLayout, writeState } from './cluster-state.ts';
import { makeFabric, namespacesOf } from './fabric.ts';
import { openListeningSocket } from './listening-socket.ts';
import { conditionOf, nameOf } from './kube-json.ts';
import { nodeProcess, type NodeParts, prepareNode, startNode } from './nodes.ts';
import { kubeconfigText, makeCredentials } from './pki.ts';
import { isAlive } from './process-identity.ts';
import { describeFailures, initComplaint, readServiceLogs } from './service-logs.ts';

/** What `up` needs. */
export interface UpOptions extends NodeParts {
  readonly layout: ClusterLayout;
  /** Address plans as text, for the record. */
  readonly plans: readonly string[];
  /** The Network object, as JSON. */
  readonly network: object;
  /** Namespaces that the installation makes, as JSON. */
  readonly namespaces: readonly object[];
  /** Whom the people's kubeconfig belongs to: who called, through sudo perhaps. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** A client for a kubeconfig file of ours. */
  readonly connect: (kubeconfigFile: string) => KubeClient & { close(): Promise<void> };
  /** Told what is under way. */
  readonly progress: (step: string) => void;
  readonly signal: AbortSignal;
  /** How long all nodes may take to be ready, in milliseconds. */
  readonly readyMs: number;
}

/** A service that ended so often will not come up. */
const MAX_ENDS = 5;

/**
 * Brings the cluster up, or finds that it is. What is left of an earlier one is removed first.
 *
 * @returns whether it was up already.
 * @throws Error saying why, after everything that was made is removed.
 */
export async function up(options: UpOptions): Promise<'made' | 'already'> {
  const { layout } = options;
  const state = readState(layout);
  if (state !== undefined && isRunning(layout, state)) {
    if (state.minions !== layout.nodes.length - 1) {
      throw new Error(
        `cluster '${layout.name}' is up with ${state.minions} minions, not ${layout.nodes.length - 1}; ` +
          `take it down first: romana local down --name ${layout.name}`,
      );
    }
    if (options.plans.join(' ') !== state.plans.join(' ')) {
      throw new Error(
        `cluster '${layout.name}' is up with the plans ${state.plans.join(' and ')}; ` +
          `take it down first: romana local down --name ${layout.name}`,
      );
    }
    return 'already';
  }
  if (isRecorded(layout)) {
    options.progress('removing what is left of an earlier cluster');
    await bringDown(recordedLayout(layout.name, layout.base));
  }
  refuseForeign(layout);
  try {
    await make(options);
    return 'made';
  } catch (cause) {
    const reason: unknown = options.signal.aborted ? options.signal.reason : cause;
    const why = reason instanceof Error ? reason.message : String(reason);
    const failures = describeFailures(readServiceLogs(layout));
    options.progress('removing what was made');
    await bringDown(layout);
    throw new Error(`cluster '${layout.name}' did not come up: ${why}${failures === '' ? '' : `\n${failures}`}`, {
      cause,
    });
  }
}

/** Whether the cluster came up and every node of it still runs. */
export function isRunning(layout: ClusterLayout, state: ClusterState): boolean {
  return (
    state.complete &&
    layout.nodes.slice(0, state.minions + 1).every((node) => {
      const first = nodeProcess(node);
      return first !== undefined && isAlive(first);
    })
  );
}

/** Names that are taken by somebody else are never touched, by `down` neither, so `up` ends before it records them. */
function refuseForeign(layout: ClusterLayout): void {
  for (const name of namespacesOf(layout)) {
    const file = `${layout.netnsDirectory}/${name}`;
    if (!existsSync(file)) continue;
    throw new Error(
      `there is a network namespace ${name} already (${file}), and no record that cluster '${layout.name}' made it; ` +
        `take another --name, or remove it: ip netns delete ${name}`,
    );
  }
}

async function make(options: UpOptions): Promise<void> {
  const { layout, progress, signal } = options;
  const record = { minions: layout.nodes.length - 1, plans: options.plans, port: 0, complete: false };
  mkdirSync(layout.runDirectory, { recursive: true, mode: 0o711 });
  writeState(layout, record);
  mkdirSync(layout.libDirectory, { recursive: true, mode: 0o700 });
  progress('network namespaces and the fabric');
  const [credentials] = await Promise.all([makeCredentials(), makeFabric(layout)]);
  signal.throwIfAborted();

  const socket = await openListeningSocket();
  try {
    const server = `https://127.0.0.1:${socket.port}`;
    const { ca, peopleToken: token } = credentials;
    writeFileSync(layout.kubeconfig, kubeconfigText({ name: layout.name, server, ca, token }), { mode: 0o600 });
    chownSync(layout.kubeconfig, options.owner.uid, options.owner.gid);
    writeState(layout, { ...record, port: socket.port });
    progress(`${layout.nodes.length} nodes: ${layout.nodes.map((node) => node.name).join(', ')}`);
    for (const node of layout.nodes) {
      prepareNode(layout, node, options, credentials);
      startNode(layout, node, options.checkout, node.master ? socket.fd : undefined);
    }
  } finally {
    socket.close();
  }
  const port = socket.port;
  const client = options.connect(layout.kubeconfig);
  try {
    await install(options, client);
    await waitReady(options, client);
  } finally {
    await client.close();
  }
  writeState(layout, { ...record, port, complete: true });
}

/** Waits for the API server and gives it what an installation of Romana brings. */
async function install(options: UpOptions, client: KubeClient): Promise<void> {
  options.progress('the API server');
  await watchfully(options, 'an answer of the API server', async () => {
    await client.list(NETWORKS);
    return true;
  });
  const objects = [
    { resource: NETWORKS, object: options.network },
    ...options.namespaces.map((object) => ({ resource: NAMESPACES, object })),
  ];
  await Promise.all(
    objects.map(async ({ resource, object }) => {
      try {
        await client.create(resource, object);
      } catch (error) {
        if (!isConflict(error)) throw error; // The API server has it from its own start.
      }
    }),
  );
}

async function waitReady(options: UpOptions, client: KubeClient): Promise<void> {
  options.progress('waiting until all nodes are Ready');
  let waiting = '';
  try {
    await watchfully(options, 'all nodes to be Ready', async () => {
      const { items } = await client.list(NODES);
      const late = options.layout.nodes.flatMap((node) => {
        const json = items.find((item) => nameOf(item) === node.name);
        if (json === undefined) return [`${node.name} is not registered`];
        const ready = conditionOf(json, 'Ready');
        return ready?.status === 'True' ? [] : [`${node.name}: ${ready?.message ?? 'no condition yet'}`];
      });
      waiting = late.join('; ');
      return late.length === 0;
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(waiting === '' ? why : `${why} (${waiting})`, { cause });
  }
}

/** Waits for `condition`, and gives up early when a node or a service of one can't live. */
async function watchfully(options: UpOptions, what: string, condition: () => Promise<boolean>): Promise<void> {
  const { layout, signal, readyMs } = options;
  let hopeless: string | undefined;
  await waitFor(
    what,
    async () => {
      signal.throwIfAborted();
      hopeless = findHopeless(layout);
      return hopeless !== undefined || (await condition());
    },
    { timeoutMs: readyMs, everyMs: 50, signal },
  );
  if (hopeless !== undefined) throw new Error(hopeless);
}

function findHopeless(layout: ClusterLayout): string | undefined {
  const looping = readServiceLogs(layout).find((log) => log.ends >= MAX_ENDS);
  if (looping !== undefined) return `${looping.service} on ${looping.node} ended ${looping.ends} times`;
  const dead = layout.nodes.find((node) => {
    const first = nodeProcess(node);
    return first !== undefined && !isAlive(first);
  });
  return dead === undefined ? undefined : `process 1 of ${dead.name} ended: ${initComplaint(dead)}`;
}
