import { rmSync } from 'node:fs';
import { waitFor } from '../lib/wait-for.ts';
import { nodeCgroup, removeCgroups } from './cgroups.ts';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';
import { unplug } from './fabric.ts';
import { nodeProcess, starterFile, starterProcess } from './nodes.ts';
import { processesEntering, processesIn, signalProcess, stopProcess, waitGone } from './process-identity.ts';
import { MAX_SHUTDOWN_GRACE_SECONDS } from './runtime/pod-manager.ts';

/**
 * How a node goes off: `shutdown` ends its pods by SIGTERM and their grace, then its services; `services` ends only
 * these in order; `cut` is a power cut.
 */
export type PowerOff = 'shutdown' | 'services' | 'cut';

/** How long a node has to stop its services, in milliseconds. */
const SERVICES_MS = 5_000;
const SHUTDOWN_MS = MAX_SHUTDOWN_GRACE_SECONDS * 1000 + 2 * SERVICES_MS;

/** Ends everything that runs in a node. */
export async function endNode(node: NodeLayout, how: PowerOff): Promise<void> {
  const first = nodeProcess(node);
  if (first !== undefined) {
    if (how === 'cut') {
      signalProcess(first, 'SIGKILL');
      await waitGone(first, SERVICES_MS);
    } else if (how === 'shutdown') await stopProcess(first, SHUTDOWN_MS, 'SIGPWR');
    else await stopProcess(first, SERVICES_MS, 'SIGTERM');
  }
  const starter = starterProcess(node);
  // With the end of its process 1 the starter ends by itself; without one it takes what it started along.
  if (starter === undefined) return;
  if (first === undefined) signalProcess(starter, 'SIGKILL');
  await waitGone(starter, SERVICES_MS);
}

/** Ends what else is in network namespaces of the cluster, such as a shell there, or is about to enter them. */
export async function endStragglers(layout: ClusterLayout, namespaces: readonly string[]): Promise<void> {
  const files = namespaces.map((name) => `${layout.netnsDirectory}/${name}`);
  await waitFor(
    `the end of all processes in ${namespaces.join(', ')}`,
    () => {
      const stragglers = [...processesIn(files), ...processesEntering(files)];
      for (const straggler of stragglers) signalProcess(straggler, 'SIGKILL');
      return stragglers.length === 0;
    },
    { timeoutMs: SERVICES_MS },
  );
}

/** Switches a node off: nothing of it is left but its files. What has gone already is no error. */
export async function powerOff(layout: ClusterLayout, node: NodeLayout, how: PowerOff): Promise<void> {
  await endNode(node, how);
  await endStragglers(layout, [node.netns]);
  await removeCgroups(nodeCgroup(layout, node));
  await unplug(layout, node);
  for (const file of [node.pidFile, starterFile(node)]) rmSync(file, { force: true });
}
