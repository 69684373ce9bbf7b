import { rmSync } from 'node:fs';
import { isNotFound, type KubeClient } from '../kube/client.ts';
import { NODES, PODS } from '../objects/resources.ts';
import { awaitReady } from './await-ready.ts';
import { clusterLayout, type ClusterLayout, type Minion, minionsOf, type NodeLayout } from './cluster-layout.ts';
import { type ClusterState, readState, writeState } from './cluster-state.ts';
import { hasFabric, plugIn } from './fabric.ts';
import { nameOf, textAt } from './kube-json.ts';
import { bootNode, isOn, writeHosts } from './nodes.ts';
import { powerOff } from './power-off.ts';
import type { PowerOnOptions } from './power-on.ts';
import { describeFailures, ServiceLogs } from './service-logs.ts';
import { type Making, refuseForeign } from './up.ts';

/** What `join` needs. */
export interface JoinOptions extends Omit<PowerOnOptions, 'nodes' | 'until'> {
  readonly making: Making;
  readonly minion: Minion;
}

/**
 * Gives a cluster that is up another node, and waits until it is Ready.
 *
 * @returns the cluster with that node.
 * @throws Error saying why it did not join; nothing of it is left then
 */
export async function join(options: JoinOptions): Promise<ClusterLayout> {
  const { layout, making, minion, signal } = options;
  const state = stateOf(layout);
  const grown = clusterLayout(layout.name, [...minionsOf(layout), minion], layout.base, state);
  const node = grown.nodes.find(({ name }) => name === minion.name);
  if (node === undefined) throw new Error(`${minion.name} is no node of cluster '${layout.name}'`);
  refuseForeign(grown, [node.netns]);
  const client = options.connect(layout.kubeconfig);
  try {
    await making.extend(grown, node);
    // From here on `down` finds it.
    writeState(grown, { ...state, minions: minionsOf(grown) });
    writeHosts(grown);
    await plugIn(grown, node);
    bootNode(grown, node, options.checkout, undefined);
    await making.admit(node, client, signal);
    const until = state.romana ? 'ready' : 'registered';
    await awaitReady({ ...options, layout: grown, nodes: [node], client, until });
    return grown;
  } catch (cause) {
    const reason: unknown = signal.aborted ? signal.reason : cause;
    const why = reason instanceof Error ? reason.message : String(reason);
    const failures = describeFailures(new ServiceLogs(grown).read().filter((log) => log.node === node.name));
    await forget(grown, node);
    await deleteNode(node, client).catch(() => undefined); // The API server may be what failed.
    throw new Error(`${node.name} did not join: ${why}${failures === '' ? '' : `\n${failures}`}`, { cause });
  } finally {
    await client.close();
  }
}

/** What `leave` needs. */
export interface LeaveOptions extends Pick<PowerOnOptions, 'layout' | 'connect'> {
  readonly node: NodeLayout;
}

/**
 * Takes a node out of a cluster for good: shuts it down, and removes its pods, its Node and all its files.
 *
 * @throws Error when it must stay, or the API server can't be told
 */
export async function leave({ layout, node, connect }: LeaveOptions): Promise<void> {
  stateOf(layout);
  if (node.master)
    throw new Error(`the master stays; the whole cluster goes by: romana local down --name ${layout.name}`);
  if (minionsOf(layout).length === 1)
    throw new Error(`${node.name} is the only minion, and a cluster has one at least`);
  const client = connect(layout.kubeconfig);
  try {
    await powerOff(layout, node, 'shutdown');
    await deleteNode(node, client);
    await forget(layout, node);
  } finally {
    await client.close();
  }
}

/** Deletes a node that is off, and its pods, which nobody else would say are gone. */
async function deleteNode(node: NodeLayout, client: KubeClient): Promise<void> {
  const { items } = await client.list(PODS, { fieldSelector: `spec.nodeName=${node.name}` });
  for (const pod of items) {
    const options = { namespace: textAt(pod, 'metadata', 'namespace'), gracePeriodSeconds: 0 };
    await client.delete(PODS, nameOf(pod), options).catch(unlessGone);
  }
  await client.delete(NODES, node.name).catch(unlessGone);
}

function unlessGone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

/** Removes all of a node that is on the machine, whatever of it there is. */
async function forget(layout: ClusterLayout, node: NodeLayout): Promise<void> {
  await powerOff(layout, node, 'cut');
  rmSync(node.directory, { recursive: true, force: true });
  const minions = minionsOf(layout).filter(({ name }) => name !== node.name);
  const state = stateOf(layout);
  writeState(layout, { ...state, minions });
  writeHosts(clusterLayout(layout.name, minions, layout.base, state));
}

/** What is on file of a cluster that nodes can come to and go from. @throws Error when it is not up */
function stateOf(layout: ClusterLayout): ClusterState {
  const state = readState(layout);
  if (state?.complete !== true || !hasFabric(layout)) {
    throw new Error(`cluster '${layout.name}' is not up; bring it up: romana local up --name ${layout.name}`);
  }
  const master = layout.nodes.find((node) => node.master);
  if (master !== undefined && !isOn(master)) {
    throw new Error(`the master does not run, so no node comes or goes; romana local node start master`);
  }
  return state;
}
