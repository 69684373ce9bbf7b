import { isNotFound, type KubeClient } from '../../kube/client.ts';
import { parseHost } from '../../objects/host.ts';
import { formatFieldErrors, qualifiedName, type Meta } from '../../objects/meta.ts';
import { parseNamespace } from '../../objects/namespace.ts';
import { parseNetwork } from '../../objects/network.ts';
import { parseNode } from '../../objects/node.ts';
import { parsePod } from '../../objects/pod.ts';
import { HOSTS, NAMESPACES, NETWORKS, NODES, PODS } from '../../objects/resources.ts';
import { policyName } from '../../policy/model.ts';
import { NETWORK_NAME, readObjects, readOptional, type ObjectsRead } from '../cluster-view.ts';
import { readPolicies } from '../read-policies.ts';
import { problemNotes, type PolicyWorld } from './policy-world.ts';

type Client = Pick<KubeClient, 'list' | 'get'>;

const DEFAULT_SEGMENT_LABEL = 'segment';

async function readSegmentLabel(client: Client): Promise<string> {
  const json = await client.get(NETWORKS, NETWORK_NAME).catch((error: unknown) => {
    // A cluster without Romana has policies, too.
    if (isNotFound(error)) return undefined;
    throw error;
  });
  const network = json === undefined ? undefined : parseNetwork(json);
  return network?.ok === true ? network.value.segmentLabel : DEFAULT_SEGMENT_LABEL;
}

function byName<T extends { readonly meta: Meta }>({ objects }: ObjectsRead<T>): ReadonlyMap<string, T> {
  return new Map(objects.map((object) => [qualifiedName(object.meta), object]));
}

/** Reads the world of a cluster. @throws Error when the API server does not answer or refuses */
export async function readLive(client: Client): Promise<PolicyWorld> {
  const [segmentLabel, namespaces, nodes, pods, hosts, policies] = await Promise.all([
    readSegmentLabel(client),
    readObjects(client, NAMESPACES, parseNamespace),
    readObjects(client, NODES, parseNode),
    readObjects(client, PODS, parsePod),
    readOptional(client, HOSTS, parseHost),
    readPolicies(client),
  ]);
  const unreadable = [namespaces, nodes, pods, hosts, policies].flatMap((read) => read.unreadable);
  const odd = namespaces.objects.filter(({ problems }) => problems.length > 0);
  return {
    segmentLabel,
    namespaces: byName(namespaces),
    nodes: byName(nodes),
    pods: byName(pods),
    policies: new Map(policies.objects.map((policy) => [policyName(policy), policy])),
    ranges: hosts.objects.flatMap(({ meta, ranges }) => ranges.map((range) => ({ host: meta.name, range }))),
    places: new Map(),
    notes: [
      ...unreadable.map(({ kind, name, why }) => `${kind} ${name} can't be read and counts for nothing here: ${why}`),
      ...odd.map(({ meta, problems }) => `Namespace ${meta.name}: ${formatFieldErrors(problems)}`),
      ...policies.objects.flatMap(problemNotes),
    ],
  };
}
