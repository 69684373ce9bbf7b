import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import { asRecord, asText, identityOf } from '../kube/json.ts';
import type { Clock } from '../lib/clock.ts';
import { POLICY_TRACES } from '../objects/resources.ts';

/** Who asks a host waits for some seconds. After so long nobody does, in milliseconds. */
export const OLD_TRACE_MS = 120_000;

/**
 * Removes questions to hosts whose askers went without doing so.
 *
 * @returns how many.
 */
export async function removeOldTraces(client: Pick<KubeClient, 'list' | 'delete'>, clock: Clock): Promise<number> {
  let removed = 0;
  for (const trace of await list(client)) {
    const { name, uid } = identityOf(trace);
    const created = Date.parse(asText(asRecord(asRecord(trace)?.['metadata'])?.['creationTimestamp']));
    if (clock.now() - created < OLD_TRACE_MS) continue;
    try {
      await client.delete(POLICY_TRACES, name, { uid });
      removed += 1;
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
  return removed;
}

async function list(client: Pick<KubeClient, 'list'>): Promise<readonly unknown[]> {
  try {
    return (await client.list(POLICY_TRACES)).items;
  } catch (error) {
    // Of another version than the controller's, the cluster may not have them yet.
    if (isNotFound(error)) return [];
    throw error;
  }
}
