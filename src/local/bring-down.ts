import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ClusterLayout } from './cluster-layout.ts';
import { namespacesOf, removeFabric } from './fabric.ts';
import { nodeProcess, starterProcess } from './nodes.ts';
import { processesIn, signalProcess, stopProcess, waitGone } from './process-identity.ts';

/** How long a node has to stop its services, in milliseconds. */
const STOP_MS = 5_000;

/** Whether anything of the cluster is on file. */
export function isRecorded(layout: ClusterLayout): boolean {
  return existsSync(layout.runDirectory) || existsSync(layout.libDirectory);
}

/** Removes all that `up` made, however much that is, and whatever died meanwhile. What is on file goes last. */
export async function bringDown(layout: ClusterLayout): Promise<void> {
  await Promise.all(
    layout.nodes.map(async (node) => {
      const first = nodeProcess(node);
      if (first !== undefined) await stopProcess(first, STOP_MS);
      const starter = starterProcess(node);
      // With the end of its process 1 the starter ends by itself; without one it takes what it started along.
      if (starter === undefined) return;
      if (first === undefined) signalProcess(starter, 'SIGKILL');
      await waitGone(starter, STOP_MS);
    }),
  );
  await killStragglers(layout);
  await removeFabric(layout);
  rmSync(layout.libDirectory, { recursive: true, force: true });
  rmSync(layout.runDirectory, { recursive: true, force: true });
  for (const directory of [layout.libDirectory, layout.runDirectory]) removeIfEmpty(dirname(directory));
}

/** Processes that entered a network namespace of the cluster from the machine, such as a shell in the fabric. */
async function killStragglers(layout: ClusterLayout): Promise<void> {
  const stragglers = processesIn(namespacesOf(layout).map((name) => `${layout.netnsDirectory}/${name}`));
  for (const straggler of stragglers) signalProcess(straggler, 'SIGKILL');
  await Promise.all(stragglers.map((straggler) => waitGone(straggler, STOP_MS)));
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Another cluster is there, or it is gone already.
  }
}
