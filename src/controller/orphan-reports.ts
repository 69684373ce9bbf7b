import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { parseHostReport } from '../objects/host-report.ts';
import { HOST_REPORTS, HOSTS, NODES, type Resource } from '../objects/resources.ts';
import type { ClusterState } from './state.ts';

/** After so long without a word, the agent of a Node that is gone is taken to be gone with its machine. In milliseconds. */
export const GONE_MS = 3_600_000;

/**
 * Removes the reports of machines that have left for good: no id is reused as long as one has not acknowledged it.
 * One whose Node was deleted by hand writes on, once a minute, and one that is cut off has an hour to come back;
 * meanwhile no other host has a route to it.
 *
 * @returns the names of those that were removed.
 */
export async function removeOrphanReports(
  client: Pick<KubeClient, 'get' | 'delete'>,
  clock: Clock,
  state: Pick<ClusterState, 'nodes' | 'hosts' | 'reports'>,
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const name of state.reports.keys()) {
    if (state.nodes.has(name) || state.hosts.has(name)) continue;
    const report = parseHostReport(await find(client, HOST_REPORTS, name));
    const { reportedAt, meta } = report.ok ? report.value : {};
    if (reportedAt === undefined || meta === undefined || clock.now() - Date.parse(reportedAt) < GONE_MS) continue;
    if ((await find(client, NODES, name)) !== undefined || (await find(client, HOSTS, name)) !== undefined) continue;
    try {
      await client.delete(HOST_REPORTS, name, { uid: meta.uid, resourceVersion: meta.resourceVersion });
      removed.push(name);
    } catch (error) {
      // It has spoken meanwhile.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
  return removed;
}

async function find(client: Pick<KubeClient, 'get'>, resource: Resource, name: string): Promise<unknown> {
  try {
    return await client.get(resource, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
