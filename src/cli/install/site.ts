import { type Address, type Family, familyOf, parseAddress } from '../../addr/address.ts';
import { type Cidr, parseCidr } from '../../addr/cidr.ts';
import { ApiError, isNotFound, type KubeClient, type ListOptions } from '../../kube/client.ts';
import { identityOf } from '../../kube/json.ts';
import { Field } from '../../objects/field.ts';
import { type Host, parseHost } from '../../objects/host.ts';
import { formatFieldErrors, type Parsed } from '../../objects/meta.ts';
import { type Network, parseNetwork } from '../../objects/network.ts';
import { type Node, parseNode } from '../../objects/node.ts';
import { HOSTS, NETWORKS, NODES, type Resource, TENANTS } from '../../objects/resources.ts';
import { parseTenant, type Tenant } from '../../objects/tenant.ts';
import { NETWORK_NAME } from '../cluster-view.ts';

/** What an installation has to know of the cluster that it is for. */
export interface Site {
  /** Whether the API server knows Romana's kinds: it was installed before. */
  readonly installed: boolean;
  readonly network: Network | undefined;
  readonly hosts: readonly Host[];
  readonly tenants: readonly Tenant[];
  readonly nodes: readonly Node[];
  /** Where Services get their addresses from; undefined when the cluster does not tell. */
  readonly serviceCIDRs: readonly Cidr[] | undefined;
  /** Of the API servers. */
  readonly apiServers: readonly Address[];
}

const SERVICE_CIDRS: Resource = {
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'servicecidrs',
  kind: 'ServiceCIDR',
  namespaced: false,
};

const ENDPOINT_SLICES: Resource = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

/** What the API server says of a ClusterIP that is in none of its ranges. */
const VALID_IPS = /range of valid IPs is ([0-9a-fA-F.:]+\/\d+)/g;

/**
 * Asks a cluster for what an installation has to fit to.
 *
 * @throws Error when the API server does not answer or refuses, or what is installed can't be read.
 */
export async function readSite(client: KubeClient): Promise<Site> {
  const [networks, hosts, tenants, nodes, serviceCIDRs, apiServers] = await Promise.all([
    read(client, NETWORKS, parseNetwork),
    read(client, HOSTS, parseHost),
    read(client, TENANTS, parseTenant),
    read(client, NODES, parseNode),
    findServiceCIDRs(client),
    findApiServers(client),
  ]);
  return {
    installed: networks !== undefined,
    network: networks?.find(({ meta }) => meta.name === NETWORK_NAME),
    hosts: hosts ?? [],
    tenants: tenants ?? [],
    nodes: nodes ?? [],
    serviceCIDRs,
    apiServers,
  };
}

/** The families that every node has an address of; both when no node tells. */
export function familiesOf(nodes: readonly Node[]): readonly Family[] {
  const has = (family: Family): boolean =>
    nodes.every(({ addresses }) => addresses.some((address) => familyOf(address) === family));
  const families = ([4, 6] as const).filter(has);
  return families.length === 0 ? [4, 6] : families;
}

/** All objects of a kind; undefined when the API server does not know it. */
async function read<T>(
  client: KubeClient,
  resource: Resource,
  parse: (json: unknown) => Parsed<T>,
): Promise<readonly T[] | undefined> {
  const found = await list(client, resource);
  return found?.map((json) => {
    const parsed = parse(json);
    if (parsed.ok) return parsed.value;
    const { name } = identityOf(json);
    throw new Error(`cannot read the cluster's ${resource.kind} ${name}: ${formatFieldErrors(parsed.error)}`);
  });
}

async function list(
  client: KubeClient,
  resource: Resource,
  options: ListOptions = {},
): Promise<readonly unknown[] | undefined> {
  try {
    return (await client.list(resource, options)).items;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function findServiceCIDRs(client: KubeClient): Promise<readonly Cidr[] | undefined> {
  const objects = await list(client, SERVICE_CIDRS);
  if (objects === undefined) return askForServiceCIDRs(client);
  const texts = objects.flatMap((json) =>
    Field.root(json)
      .get('spec')
      .get('cidrs')
      .list((item) => item.string()),
  );
  return texts.map(parseCidr).flatMap((parsed) => (parsed.ok ? [parsed.value] : []));
}

/** Clusters before 1.33 have no ServiceCIDRs, but name the range when they refuse an address that is not in it. */
async function askForServiceCIDRs(client: KubeClient): Promise<readonly Cidr[] | undefined> {
  const found: Cidr[] = [];
  for (const clusterIP of ['0.0.0.1', '::1']) {
    const service = {
      metadata: { name: 'romana-install' },
      spec: { clusterIP, ports: [{ port: 1 }], ipFamilies: [clusterIP === '::1' ? 'IPv6' : 'IPv4'] },
    };
    const answer = await client.raw('POST', '/api/v1/namespaces/default/services?dryRun=All', service).then(
      () => '',
      (error: unknown) => {
        if (error instanceof ApiError) return error.message;
        throw error;
      },
    );
    for (const [, text = ''] of answer.matchAll(VALID_IPS)) {
      const parsed = parseCidr(text);
      if (parsed.ok) found.push(parsed.value);
    }
  }
  return found.length === 0 ? undefined : found;
}

async function findApiServers(client: KubeClient): Promise<readonly Address[]> {
  const selected = { namespace: 'default', labelSelector: 'kubernetes.io/service-name=kubernetes' };
  const slices = (await list(client, ENDPOINT_SLICES, selected)) ?? [];
  const addresses = slices
    .flatMap((json) => Field.root(json).get('endpoints').items())
    .flatMap((endpoint) => endpoint.get('addresses').list((item) => item.parsed(parseAddress)));
  return [...new Set(addresses)];
}
