import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { clusterCgroup, removeCgroups } from './cgroups.ts';
import type { ClusterLayout } from './cluster-layout.ts';
import { namespacesOf, removeFabric } from './fabric.ts';
import { endNode, endStragglers } from './power-off.ts';

/** Whether anything of the cluster is on file. */
export function isRecorded(layout: ClusterLayout): boolean {
  return existsSync(layout.runDirectory) || existsSync(layout.libDirectory);
}

/** Removes all that `up` made, however much that is, and whatever died meanwhile. What is on file goes last. */
export async function bringDown(layout: ClusterLayout): Promise<void> {
  // Nothing of Kubernetes' is worth the wait for an orderly end.
  const how = layout.flavour === 'kubernetes' ? 'cut' : 'services';
  await Promise.all(layout.nodes.map((node) => endNode(node, how)));
  await endStragglers(layout, namespacesOf(layout));
  await removeCgroups(clusterCgroup(layout));
  await removeFabric(layout);
  rmSync(layout.libDirectory, { recursive: true, force: true });
  rmSync(layout.runDirectory, { recursive: true, force: true });
  for (const directory of [layout.libDirectory, layout.runDirectory]) removeIfEmpty(dirname(directory));
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Another cluster is there, or it is gone already.
  }
}
