import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { PODS } from '../src/objects/resources.ts';
import { textAt } from '../src/local/kube-json.ts';
import { waitFor } from '../src/lib/wait-for.ts';
import type { KubeCluster } from '../test/support/kube-cluster.ts';
import type { KubeNode } from '../test/support/kube-node.ts';
import { podsOn } from './kube-pods.ts';

/** Whose turn it is to connect pods. */
export type Network = 'bridge' | 'romana';

const OURS = '/etc/cni/net.d/10-romana.conflist';
/** The runtime takes the first by name. */
const THEIRS = '/etc/cni/net.d/00-bridge.conflist';
/** Where the bridge's pods are: outside of our plan. */
const RANGES = { v4: '172.20', v6: 'fd00:20' };
const SWITCH_MS = 120_000;

/** The bridge in our place: it chains the same plugins. */
function bridgeConfiguration(ours: string, id: number): string {
  const { cniVersion, plugins } = JSON.parse(ours) as { cniVersion: string; plugins: readonly object[] };
  const bridge = {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: `${RANGES.v4}.${id}.0/24` }], [{ subnet: `${RANGES.v6}:${id}::/64` }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    },
  };
  return JSON.stringify({ cniVersion, name: 'bridge', plugins: [bridge, ...plugins.slice(1)] });
}

/** Gives the nodes to a network; done when a new pod of each has its address of it. */
export async function switchTo(cluster: KubeCluster, nodes: readonly KubeNode[], network: Network): Promise<void> {
  for (const [i, node] of nodes.entries()) {
    if (network === 'romana') rmSync(node.file(THEIRS), { force: true });
    else writeFileSync(node.file(THEIRS), bridgeConfiguration(readFileSync(node.file(OURS), 'utf8'), i + 1));
  }
  for (const node of nodes) await waitForNetwork(cluster, node, network);
}

async function waitForNetwork(cluster: KubeCluster, node: KubeNode, network: Network): Promise<void> {
  const name = `probe-${node.layout.name}`;
  const isThere = async (): Promise<boolean> => {
    await cluster.apply(...podsOn(node.layout.name, [name]));
    await cluster.ready(name);
    const address = textAt(await cluster.client.get(PODS, name, 'default'), 'status', 'podIP');
    await cluster.kubectl('delete', 'pod', name, '--grace-period=1');
    return address.startsWith(RANGES.v4) === (network === 'bridge');
  };
  await waitFor(`${node.layout.name} to connect pods by ${network}`, isThere, { timeoutMs: SWITCH_MS, everyMs: 500 });
}
