import assert from 'node:assert/strict';
import { waitFor } from '../../src/lib/wait-for.ts';
import { at, objectsAt, textAt } from '../../src/local/kube-json.ts';
import { PODS } from '../../src/objects/resources.ts';
import type { KubeCluster } from './kube-cluster.ts';
import { leasesAt } from './pod-probe.ts';

/** For the kubelet to end what it knows to be over, on a machine that has other things to do, in milliseconds. */
const PATIENCE_MS = 120_000;

/**
 * Waits until each node has exactly the attachments of the pods that the API server has of it: nothing is left behind
 * by what went wrong, and nobody has lost anything. No two pods have one address.
 */
export async function attachmentsMatch(cluster: KubeCluster, nodes: readonly string[]): Promise<void> {
  const matches = async (): Promise<true> => {
    const { items } = await cluster.client.list(PODS);
    const pods = items.filter((pod) => {
      const over = ['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'));
      return !over && at(pod, 'spec', 'hostNetwork') !== true;
    });
    const addresses = pods.flatMap((pod) => objectsAt(pod, 'status', 'podIPs').map((ip) => textAt(ip, 'ip')));
    assert.equal(new Set(addresses).size, addresses.length, `two pods have one address: ${addresses.join(' ')}`);
    for (const node of nodes) {
      const here = pods.filter((pod) => textAt(pod, 'spec', 'nodeName') === node);
      const names = here.map((pod) => `${textAt(pod, 'metadata', 'namespace')}/${textAt(pod, 'metadata', 'name')}`);
      assert.deepEqual(
        leasesAt(cluster.node(node))
          .map((lease) => `${lease.namespace}/${lease.pod}`)
          .toSorted(),
        names.toSorted(),
        `leases of ${node}`,
      );
      const links = await cluster.node(node).sh('ls /sys/class/net | grep -c "^roma" || true');
      assert.equal(Number(links), names.length, `links of ${node}`);
    }
    return true;
  };
  await waitFor('attachments and pods to match', matches, { timeoutMs: PATIENCE_MS, everyMs: 500 });
}
