import type { KubeClient } from '../kube/client.ts';
import type { Policy } from '../policy/model.ts';
import { POLICY_KINDS } from '../policy/policy-kinds.ts';
import { readOptional, type ObjectsRead } from './cluster-view.ts';

/**
 * Asks for the policies of every kind that the cluster has. One namespace's alone where it is given, and then none of
 * the cluster's.
 *
 * @throws Error when the server does not answer, or refuses
 */
export async function readPolicies(client: Pick<KubeClient, 'list'>, namespace?: string): Promise<ObjectsRead<Policy>> {
  const kinds = POLICY_KINDS.filter(({ resource }) => resource.namespaced || namespace === undefined);
  const read = await Promise.all(
    // Neither ours nor the cluster policies need be there.
    kinds.map(({ resource, parse }) => readOptional(client, resource, parse, resource.namespaced ? { namespace } : {})),
  );
  return { objects: read.flatMap(({ objects }) => objects), unreadable: read.flatMap(({ unreadable }) => unreadable) };
}
