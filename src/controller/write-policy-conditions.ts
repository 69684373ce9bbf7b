import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import { identityOf } from '../kube/json.ts';
import type { Clock } from '../lib/clock.ts';
import { CLUSTER_NETWORK_POLICIES } from '../objects/resources.ts';
import { conditionsIn, ENFORCED, isSame, storedIn, type WantedCondition } from './policy-conditions.ts';

type WriteClient = Pick<KubeClient, 'get' | 'patch'>;

/** What came of a list of conditions. */
export interface Written {
  readonly written: number;
  /** Policies that somebody else wrote in between: they are to be looked at again. */
  readonly overtaken: readonly string[];
}

/**
 * Writes conditions into the status of policies, each beside those of others: it is read, and written only if nobody has
 * written in between.
 *
 * @throws Error of the first that the API server refused; all others are written.
 */
export async function writePolicyConditions(
  client: WriteClient,
  clock: Clock,
  wanted: readonly WantedCondition[],
  signal: AbortSignal,
): Promise<Written> {
  let written = 0;
  let failure: Error | undefined;
  const overtaken: string[] = [];
  for (const each of wanted) {
    signal.throwIfAborted();
    try {
      written += await writeOne(client, clock, each);
    } catch (error) {
      if (isNotFound(error)) continue;
      if (isConflict(error)) overtaken.push(each.name);
      else failure ??= new Error(`cannot write the status of ClusterNetworkPolicy ${each.name}`, { cause: error });
    }
  }
  if (failure !== undefined) throw failure;
  return { written, overtaken };
}

/** @returns how many were written. */
async function writeOne(client: WriteClient, clock: Clock, { name, uid, condition }: WantedCondition): Promise<0 | 1> {
  const object = await client.get(CLUSTER_NETWORK_POLICIES, name);
  const identity = identityOf(object);
  // Our copy of it was behind.
  if (identity.uid !== uid || isSame(condition, storedIn(object))) return 0;
  const conditions = conditionsIn(object);
  const before = conditions.find(({ type }) => type === ENFORCED);
  const since = before?.['status'] === condition.status ? before['lastTransitionTime'] : timeText(clock.now());
  const ours = { type: ENFORCED, ...condition, lastTransitionTime: since };
  const patch = {
    metadata: { uid, resourceVersion: identity.resourceVersion },
    status: { conditions: [...conditions.filter((other) => other !== before), ours] },
  };
  await client.patch(CLUSTER_NETWORK_POLICIES, name, patch, { subresource: 'status' });
  return 1;
}

/** As meta/v1 has it: without fractions of seconds. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
