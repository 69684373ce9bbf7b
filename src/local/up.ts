import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { KubeClient } from '../kube/client.ts';
import { bringDown, isRecorded } from './bring-down.ts';
import { type ClusterLayout, minionsOf, type NodeLayout } from './cluster-layout.ts';
import { type ClusterState, readState, recordedLayout, writeState } from './cluster-state.ts';
import { hasFabric, makeFabric, namespacesOf } from './fabric.ts';
import { openListeningSocket } from './listening-socket.ts';
import { bootNode } from './nodes.ts';
import { kubeconfigText, type Proof } from './pki.ts';
import { powerOn } from './power-on.ts';
import { describeFailures, ServiceLogs } from './service-logs.ts';

/** What is made for one life of a cluster before its nodes boot. */
export interface Prepared {
  /** PEM, of the authority that signed the API server's certificate. */
  readonly ca: string;
  /** Who people are to the API server. */
  readonly people: Proof;
  /** Writes what the node finds in its directory. */
  readonly prepareNode: (node: NodeLayout) => void;
}

/** What the flavours do each in their own way. */
export interface Making {
  /** Whether Romana is among what is installed. */
  readonly romana: boolean;
  /** Sees to it that all is on the machine that a cluster takes. @throws Error when something is not to be had */
  provide(layout: ClusterLayout): Promise<void>;
  /** Makes the credentials. */
  prepare(layout: ClusterLayout): Promise<Prepared>;
  /** Gives the API server of nodes that boot what an installation brings, and waits until all is ready. */
  install(options: UpOptions, client: KubeClient): Promise<void>;
  /** Writes what one more node finds in its directory, with the credentials of a cluster that is up. @throws Error when there is no room */
  extend(layout: ClusterLayout, node: NodeLayout): Promise<void>;
  /** Makes that node known to the API server, if it does not do so itself. */
  admit(node: NodeLayout, client: KubeClient, signal: AbortSignal): Promise<void>;
}

/** What `up` needs. */
export interface UpOptions {
  readonly layout: ClusterLayout;
  readonly making: Making;
  /** The checkout, absolute; it is the same path in every node, read-only. */
  readonly checkout: string;
  /** Address plans as text, for the record. */
  readonly plans: readonly string[];
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

/**
 * Brings the cluster up: finds that it is, boots those of its nodes that are off, or makes it. What is left of one that
 * did not come up is removed first.
 *
 * @returns what it did.
 * @throws Error saying why; everything that was made is removed before, but a cluster that was there stays.
 */
export async function up(options: UpOptions): Promise<'made' | 'already' | 'booted'> {
  const { layout } = options;
  const state = readState(layout);
  if (state?.complete === true && hasFabric(layout)) {
    refuseOther(options, state);
    const there = recordedLayout(layout.name, layout.base);
    const booted = await powerOn({ ...options, layout: there, nodes: there.nodes });
    return booted.length === 0 ? 'already' : 'booted';
  }
  if (isRecorded(layout)) {
    options.progress('removing what is left of an earlier cluster');
    await bringDown(recordedLayout(layout.name, layout.base));
  }
  refuseForeign(layout, namespacesOf(layout));
  await options.making.provide(layout);
  options.signal.throwIfAborted();
  try {
    await make(options);
    return 'made';
  } catch (cause) {
    const reason: unknown = options.signal.aborted ? options.signal.reason : cause;
    const why = reason instanceof Error ? reason.message : String(reason);
    const failures = describeFailures(new ServiceLogs(layout).read());
    options.progress('removing what was made');
    await bringDown(layout);
    throw new Error(`cluster '${layout.name}' did not come up: ${why}${failures === '' ? '' : `\n${failures}`}`, {
      cause,
    });
  }
}

/** Another number of minions, and other plans, take another cluster. */
function refuseOther({ layout, plans }: UpOptions, state: ClusterState): void {
  const asked = layout.nodes.length - 1;
  const other =
    state.flavour !== layout.flavour
      ? `the flavour ${state.flavour}`
      : state.minions.length !== asked
        ? `${state.minions.length} minions, not ${asked}`
        : plans.join(' ') !== state.plans.join(' ')
          ? `the plans ${state.plans.join(' and ')}`
          : undefined;
  if (other === undefined) return;
  throw new Error(
    `cluster '${layout.name}' is up with ${other}; take it down first: romana local down --name ${layout.name}`,
  );
}

/** Names that are taken by somebody else are never touched, by `down` neither, so `up` ends before it records them. */
export function refuseForeign(layout: ClusterLayout, namespaces: readonly string[]): void {
  for (const name of namespaces) {
    const file = `${layout.netnsDirectory}/${name}`;
    if (!existsSync(file)) continue;
    throw new Error(
      `there is a network namespace ${name} already (${file}), and no record that cluster '${layout.name}' made it; ` +
        `take another --name, or remove it: ip netns delete ${name}`,
    );
  }
}

async function make(options: UpOptions): Promise<void> {
  const { layout, making, progress, signal } = options;
  const { flavour, families } = layout;
  const minions = minionsOf(layout);
  const { plans } = options;
  const record = { flavour, families, minions, plans, romana: making.romana, port: 0, complete: false };
  mkdirSync(layout.runDirectory, { recursive: true, mode: 0o711 });
  writeState(layout, record);
  mkdirSync(layout.libDirectory, { recursive: true, mode: 0o700 });
  progress('network namespaces and the fabric');
  const [prepared] = await Promise.all([making.prepare(layout), makeFabric(layout)]);
  signal.throwIfAborted();

  const socket = await openListeningSocket();
  try {
    const server = `https://127.0.0.1:${socket.port}`;
    const text = kubeconfigText({ name: layout.name, server, ca: prepared.ca, ...prepared.people });
    writeFileSync(layout.kubeconfig, text, { mode: 0o600 });
    chownSync(layout.kubeconfig, options.owner.uid, options.owner.gid);
    writeState(layout, { ...record, port: socket.port });
    progress(`${layout.nodes.length} nodes: ${layout.nodes.map((node) => node.name).join(', ')}`);
    for (const node of layout.nodes) {
      prepared.prepareNode(node);
      bootNode(layout, node, options.checkout, node.master ? socket.fd : undefined);
    }
  } finally {
    socket.close();
  }
  const port = socket.port;
  const client = options.connect(layout.kubeconfig);
  try {
    await making.install(options, client);
  } finally {
    await client.close();
  }
  writeState(layout, { ...record, port, complete: true });
}
