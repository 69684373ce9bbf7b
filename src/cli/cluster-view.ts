import { isNotFound, type KubeClient, type ListOptions } from '../kube/client.ts';
import { identityOf, keyOf } from '../kube/json.ts';
import { parseHost, type Host } from '../objects/host.ts';
import { parseHostReport, type HostReport } from '../objects/host-report.ts';
import { formatFieldErrors, type Parsed } from '../objects/meta.ts';
import { parseNetworkInForce, type Network } from '../objects/network.ts';
import { apiVersionOf, HOST_REPORTS, HOSTS, NETWORKS, type Resource, TENANTS } from '../objects/resources.ts';
import { parseTenant, type Tenant } from '../objects/tenant.ts';

/** The name of a cluster's one Network. */
export const NETWORK_NAME = 'default';

/** An object that the server has and that can't be read. */
export interface Unreadable {
  readonly kind: string;
  /** `namespace/name`, or `name` for what is cluster scoped. */
  readonly name: string;
  readonly why: string;
}

/** The objects of one kind: those that can be read, and the others. */
export interface ObjectsRead<T> {
  readonly objects: readonly T[];
  readonly unreadable: readonly Unreadable[];
}

/**
 * Asks for all objects of one kind.
 *
 * @throws Error when the server does not answer, refuses, or does not know the kind: then Romana is not installed.
 */
export async function readObjects<T>(
  client: Pick<KubeClient, 'list'>,
  resource: Resource,
  parse: (json: unknown) => Parsed<T>,
  options: ListOptions = {},
): Promise<ObjectsRead<T>> {
  const { items } = await client.list(resource, options).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    const what = `${resource.plural} of ${apiVersionOf(resource)}`;
    throw new Error(`the cluster has no ${what}: Romana is not installed there`, { cause: error });
  });
  const objects: T[] = [];
  const unreadable: Unreadable[] = [];
  for (const item of items) {
    const parsed = parse(item);
    if (parsed.ok) objects.push(parsed.value);
    else unreadable.push({ kind: resource.kind, name: keyOf(identityOf(item)), why: formatFieldErrors(parsed.error) });
  }
  return { objects, unreadable };
}

/** As `readObjects`, of a kind that the server may not have: then there are none. */
export async function readOptional<T>(
  client: Pick<KubeClient, 'list'>,
  resource: Resource,
  parse: (json: unknown) => Parsed<T>,
  options: ListOptions = {},
): Promise<ObjectsRead<T>> {
  return readObjects(client, resource, parse, options).catch((error: unknown) => {
    if (error instanceof Error && isNotFound(error.cause)) return { objects: [], unreadable: [] };
    throw error;
  });
}

/** @throws Error as `readObjects`, and when the Network can't be read: without it no address says anything. */
export async function readNetwork(client: Pick<KubeClient, 'get'>): Promise<Network> {
  const json = await client.get(NETWORKS, NETWORK_NAME).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    throw new Error(`the cluster has no Network ${NETWORK_NAME}: Romana is not installed there`, { cause: error });
  });
  const network = parseNetworkInForce(json);
  if (network.ok) return network.value;
  throw new Error(`Network ${NETWORK_NAME} can't be read: ${formatFieldErrors(network.error)}`);
}

/** What says who is meant by the numbers in addresses, and how many addresses have them. */
export interface IdsView {
  readonly network: Network;
  readonly hosts: readonly Host[];
  readonly tenants: readonly Tenant[];
  readonly reports: readonly HostReport[];
}

/** Asks for the Network, Hosts, Tenants and HostReports. @throws Error as `readNetwork` and `readObjects` */
export async function readIds(client: KubeClient): Promise<IdsView & { readonly unreadable: readonly Unreadable[] }> {
  const [network, hosts, tenants, reports] = await Promise.all([
    readNetwork(client),
    readObjects(client, HOSTS, parseHost),
    readObjects(client, TENANTS, parseTenant),
    readObjects(client, HOST_REPORTS, parseHostReport),
  ]);
  return {
    network,
    hosts: hosts.objects,
    tenants: tenants.objects,
    reports: reports.objects,
    unreadable: [hosts, tenants, reports].flatMap(({ unreadable }) => unreadable),
  };
}

/** Addresses in use that have certain ids, as the agents report them. */
export interface SegmentUse {
  /** Addresses: a pod with two families counts twice. */
  readonly endpoints: number;
  /** The hosts that have any, by id. */
  readonly hosts: readonly { readonly host: number; readonly hostName: string; readonly endpoints: number }[];
}

/** Adds up what the reports of all hosts say of one tenant (from 1), or of one segment of it. */
export function useOf({ hosts, reports }: IdsView, tenant: number, segment?: number): SegmentUse {
  const byName = new Map(reports.map((report) => [report.meta.name, report]));
  const used = hosts.flatMap(({ id, meta: { name } }) => {
    const leases = byName.get(name)?.leases ?? [];
    const meant = leases.filter((l) => l.tenant === tenant && (segment === undefined || l.segment === segment));
    const endpoints = meant.reduce((sum, { count }) => sum + count, 0);
    return endpoints === 0 ? [] : [{ host: id, hostName: name, endpoints }];
  });
  return {
    endpoints: used.reduce((sum, { endpoints }) => sum + endpoints, 0),
    hosts: used.sort((a, b) => a.host - b.host),
  };
}
