import type { KubeClient } from '../kube/client.ts';
import { awaitReady, type ReadyOptions } from './await-ready.ts';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';
import { readState } from './cluster-state.ts';
import { hasFabric, plugIn } from './fabric.ts';
import { openListeningSocket } from './listening-socket.ts';
import { bootNode, isOn } from './nodes.ts';
import { powerOff } from './power-off.ts';

/** What `powerOn` needs. */
export interface PowerOnOptions extends Omit<ReadyOptions, 'client'> {
  /** The checkout, absolute. */
  readonly checkout: string;
  /** A client for a kubeconfig file of ours. */
  readonly connect: (kubeconfigFile: string) => KubeClient & { close(): Promise<void> };
}

/**
 * Boots those of the nodes that are off, and waits until they are Ready.
 *
 * @returns those that were off.
 * @throws Error when one can't be started or is not Ready in time; it stays as far as it has come.
 */
export async function powerOn(options: PowerOnOptions): Promise<readonly NodeLayout[]> {
  const { layout } = options;
  const off = options.nodes.filter((node) => !isOn(node));
  if (off.length === 0) return off;
  if (!hasFabric(layout)) {
    throw new Error(
      `the network of cluster '${layout.name}' is gone; make it anew: ` +
        `romana local down --name ${layout.name}, then romana local up`,
    );
  }
  for (const node of off) {
    await powerOff(layout, node, 'cut'); // Its process 1 may have ended by itself.
    await plugIn(layout, node);
    await boot(layout, node, options.checkout);
  }
  const client = options.connect(layout.kubeconfig);
  try {
    const until = readState(layout)?.romana === false ? 'registered' : 'ready';
    await awaitReady({ ...options, nodes: off, client, until });
  } finally {
    await client.close();
  }
  return off;
}

/** The master gets the port of the people's kubeconfig again. */
async function boot(layout: ClusterLayout, node: NodeLayout, checkout: string): Promise<void> {
  if (!node.master) return bootNode(layout, node, checkout, undefined);
  const socket = await openListeningSocket(readState(layout)?.port);
  try {
    bootNode(layout, node, checkout, socket.fd);
  } finally {
    socket.close();
  }
}
