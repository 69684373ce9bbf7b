import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { KubeClient } from '../kube/client.ts';
import { isConflict } from '../kube/client.ts';
import { NAMESPACES, NETWORKS } from '../objects/resources.ts';
import { awaitReady, awaitStart } from './await-ready.ts';
import { bringDown, isRecorded } from './bring-down.ts';
import type { ClusterLayout } from './cluster-layout.ts';
import { type ClusterState, readState, recordedLayout, writeState } from './cluster-state.ts';
import { hasFabric, makeFabric, namespacesOf } from './fabric.ts';
import { openListeningSocket } from './listening-socket.ts';
import { bootNode, type NodeParts, prepareNode } from './nodes.ts';
import { kubeconfigText, makeCredentials } from './pki.ts';
import { powerOn } from './power-on.ts';
import { describeFailures, readServiceLogs } from './service-logs.ts';

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
    return (await powerOn({ ...options, nodes: layout.nodes })).length === 0 ? 'already' : 'booted';
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

/** Another number of minions, and other plans, take another cluster. */
function refuseOther({ layout, plans }: UpOptions, state: ClusterState): void {
  const asked = layout.nodes.length - 1;
  const other =
    state.minions !== asked
      ? `${state.minions} minions, not ${asked}`
      : plans.join(' ') !== state.plans.join(' ')
        ? `the plans ${state.plans.join(' and ')}`
        : undefined;
  if (other === undefined) return;
  throw new Error(
    `cluster '${layout.name}' is up with ${other}; take it down first: romana local down --name ${layout.name}`,
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
      bootNode(layout, node, options.checkout, node.master ? socket.fd : undefined);
    }
  } finally {
    socket.close();
  }
  const port = socket.port;
  const client = options.connect(layout.kubeconfig);
  try {
    await install(options, client);
    options.progress('waiting until all nodes are Ready');
    await awaitReady({ ...options, nodes: layout.nodes, client });
  } finally {
    await client.close();
  }
  writeState(layout, { ...record, port, complete: true });
}

/** Waits for the API server and gives it what an installation of Romana brings. */
async function install(options: UpOptions, client: KubeClient): Promise<void> {
  options.progress('the API server');
  const { layout, signal, readyMs } = options;
  await awaitStart({ layout, nodes: layout.nodes, signal, readyMs }, 'an answer of the API server', async () => {
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
