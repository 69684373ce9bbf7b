import { type ClusterLayout, FABRIC_ADDRESSES, type NodeLayout } from './cluster-layout.ts';
import { makeNetworkNamespaces, networkNamespaceExists, removeNetworkNamespaces } from './network-namespaces.ts';
import { runCommand } from './run-command.ts';

/** Names of all the network namespaces of a cluster. */
export function namespacesOf(layout: ClusterLayout): string[] {
  return [layout.fabric, ...layout.nodes.map((node) => node.netns)];
}

/** The `ip -batch` text that makes the bridge. */
export function fabricBatch(): string {
  const [v4, v6] = FABRIC_ADDRESSES;
  return lines([
    // Multicast snooping without a querier would forget IPv6 neighbour solicitations.
    'link add br0 type bridge forward_delay 0 mcast_snooping 0',
    `addr add ${v4}/24 dev br0`,
    `addr add ${v6}/64 dev br0 nodad`,
    'link set br0 up',
  ]);
}

/** The `ip -batch` text that makes a node's cable in the fabric. The node keeps its MAC address when it boots again. */
export function cableBatch(node: NodeLayout): string {
  return lines([
    `link add name ${node.name} type veth peer name eth0 address ${node.mac} netns ${node.netns}`,
    `link set dev ${node.name} master br0 up`,
  ]);
}

/** The `ip -batch` text that gives a node its addresses and its way out. */
export function nodeBatch(node: NodeLayout): string {
  const [v4, v6] = FABRIC_ADDRESSES;
  return lines([
    ...node.addresses.map((address) => `addr add ${address}/${isV6(address) ? '64 dev eth0 nodad' : '24 dev eth0'}`),
    'link set eth0 up',
    ...node.addresses.map((address) => `route add ${isV6(address) ? `::/0 via ${v6}` : `default via ${v4}`}`),
  ]);
}

/** Makes the cluster's network: one bridge in a namespace of its own, one namespace a node. */
export async function makeFabric(layout: ClusterLayout): Promise<void> {
  await makeNetworkNamespaces(layout.netnsDirectory, [layout.fabric]);
  await runBatch(layout.fabric, fabricBatch());
  await Promise.all(layout.nodes.map((node) => plugIn(layout, node)));
}

/** Whether there is a network that nodes can be plugged into. */
export function hasFabric(layout: ClusterLayout): boolean {
  return networkNamespaceExists(`${layout.netnsDirectory}/${layout.fabric}`);
}

/** Gives a node a fresh network namespace, connected to the fabric. */
export async function plugIn(layout: ClusterLayout, node: NodeLayout): Promise<void> {
  await makeNetworkNamespaces(layout.netnsDirectory, [node.netns]);
  await runBatch(layout.fabric, cableBatch(node));
  await runBatch(node.netns, nodeBatch(node));
}

/** Takes a node's network namespace away, with its cable, however much of it there is. */
export async function unplug(layout: ClusterLayout, node: NodeLayout): Promise<void> {
  if (hasFabric(layout)) {
    // By name, since the kernel takes the links of a namespace away some time after it.
    await runCommand('ip', ['-netns', layout.fabric, 'link', 'delete', 'dev', node.name]).catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.includes('Cannot find device')) throw error;
    });
  }
  await removeNetworkNamespaces(layout.netnsDirectory, [node.netns]);
}

/** Takes the network down, however much of it there is. Links go with their namespaces. */
export async function removeFabric(layout: ClusterLayout): Promise<void> {
  await removeNetworkNamespaces(layout.netnsDirectory, namespacesOf(layout));
}

async function runBatch(namespace: string, batch: string): Promise<void> {
  await runCommand('ip', ['-netns', namespace, '-batch', '-'], { input: batch });
}

function lines(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('');
}

function isV6(address: string): boolean {
  return address.includes(':');
}
