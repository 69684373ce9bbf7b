import { type ClusterLayout, FABRIC_ADDRESSES, type NodeLayout } from './cluster-layout.ts';
import { makeNetworkNamespaces, removeNetworkNamespaces } from './network-namespaces.ts';
import { runCommand } from './run-command.ts';

/** Names of all the network namespaces of a cluster. */
export function namespacesOf(layout: ClusterLayout): string[] {
  return [layout.fabric, ...layout.nodes.map((node) => node.netns)];
}

/** The `ip -batch` text that makes the bridge and a cable to each node. */
export function fabricBatch(layout: ClusterLayout): string {
  const [v4, v6] = FABRIC_ADDRESSES;
  return lines([
    // Multicast snooping without a querier would forget IPv6 neighbour solicitations.
    'link add br0 type bridge forward_delay 0 mcast_snooping 0',
    `addr add ${v4}/24 dev br0`,
    `addr add ${v6}/64 dev br0 nodad`,
    'link set br0 up',
    ...layout.nodes.flatMap((node) => [
      `link add name ${node.name} type veth peer name eth0 netns ${node.netns}`,
      `link set dev ${node.name} master br0 up`,
    ]),
  ]);
}

/** The `ip -batch` text that gives a node its addresses and its way out. */
export function nodeBatch(node: NodeLayout): string {
  const [v4, v6] = FABRIC_ADDRESSES;
  return lines([
    `addr add ${node.addresses[0]}/24 dev eth0`,
    `addr add ${node.addresses[1]}/64 dev eth0 nodad`,
    'link set eth0 up',
    `route add default via ${v4}`,
    `route add ::/0 via ${v6}`,
  ]);
}

/** Makes the cluster's network: one bridge in a namespace of its own, one namespace a node. */
export async function makeFabric(layout: ClusterLayout): Promise<void> {
  await makeNetworkNamespaces(layout.netnsDirectory, namespacesOf(layout));
  await runCommand('ip', ['-netns', layout.fabric, '-batch', '-'], { input: fabricBatch(layout) });
  await Promise.all(
    layout.nodes.map((node) => runCommand('ip', ['-netns', node.netns, '-batch', '-'], { input: nodeBatch(node) })),
  );
}

/** Takes the network down, however much of it there is. Links go with their namespaces. */
export async function removeFabric(layout: ClusterLayout): Promise<void> {
  await removeNetworkNamespaces(layout.netnsDirectory, namespacesOf(layout));
}

function lines(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('');
}
