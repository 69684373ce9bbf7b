import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseLeaseFile } from '../../src/agent/lease-file.ts';
import type { Lease } from '../../src/plan/snapshot.ts';
import type { KubeNode } from './kube-node.ts';
import { Probe } from './probe.ts';

const LEASES = '/run/romana/leases';

/**
 * A probe in the network namespace of a pod of a real cluster, whatever image that is of. It does not end with the pod.
 *
 * @param node the pod's.
 * @throws Error when the agent has no lease of the pod.
 */
export function podProbe(node: KubeNode, namespace: string, pod: string): Promise<Probe> {
  const netns = node.file(netnsOf(node, namespace, pod));
  return Probe.start({
    name: `pod ${namespace}/${pod}`,
    spawn: (words, options) => spawn('nsenter', [`--net=${netns}`, ...words], { ...options }),
  });
}

function netnsOf(node: KubeNode, namespace: string, pod: string): string {
  for (const lease of leasesAt(node)) {
    if (lease.namespace !== namespace || lease.pod !== pod) continue;
    // Seen from the machine, the node's /var/run would lead to that of the machine.
    const { netns } = lease.origin ?? {};
    if (netns !== undefined) return netns.replace(/^\/var\/run\//, '/run/');
  }
  throw new Error(`the agent on ${node.layout.name} has no lease of pod ${namespace}/${pod}`);
}

/** The leases of a node's agent. */
export function leasesAt(node: KubeNode): readonly Lease[] {
  const folder = node.file(LEASES);
  return readdirSync(folder).flatMap((name) => {
    const read = parseLeaseFile(readFileSync(join(folder, name), 'utf8'));
    return read.ok ? [read.value.lease] : [];
  });
}
