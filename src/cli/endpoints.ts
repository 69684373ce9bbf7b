import { familyOf, type Address, type Family } from '../addr/address.ts';
import { contains } from '../addr/cidr.ts';
import { decode } from '../addr/plan.ts';
import type { KubeClient } from '../kube/client.ts';
import { parsePod, podFinished, type Pod } from '../objects/pod.ts';
import { PODS } from '../objects/resources.ts';
import { readIds, readObjects, type IdsView } from './cluster-view.ts';
import { compareNames, listCommand, type Column, type ListArguments, type ListDependencies } from './listing.ts';
import { segmentNameText } from './segments.ts';

/** An address of a pod as `romana endpoints -o json` has it: what its bits say, and whose it is. */
export interface EndpointRow {
  readonly address: Address;
  readonly family: Family;
  readonly host: number;
  readonly hostName: string;
  /** 0 in the shared pool. */
  readonly tenant: number;
  /** The pod's namespace, in the shared pool too. */
  readonly tenantName: string;
  /** 0: the pods without the label, and the shared pool. */
  readonly segment: number;
  /** The label's value that the bits stand for, in the shared pool that of today; missing without the label. */
  readonly segmentName?: string;
  /** In the shared pool, the segment's and the endpoint's bits as one number. */
  readonly endpoint: number;
  /** There for an address of the shared pool. */
  readonly pool?: true;
  /** The pod's name. */
  readonly pod: string;
}

/** The columns for people. */
export const ENDPOINT_COLUMNS: readonly Column<EndpointRow>[] = [
  { title: 'ADDRESS', cell: ({ address }) => address },
  { title: 'POD', cell: ({ tenantName, pod }) => `${tenantName}/${pod}` },
  { title: 'HOST', cell: ({ host, hostName }) => `${host} (${hostName})` },
  { title: 'TENANT', cell: ({ tenant, pool }) => (pool === true ? 'pool' : String(tenant)) },
  { title: 'SEGMENT', cell: ({ segment, pool }) => (pool === true ? '-' : String(segment)) },
  { title: 'SEGMENT NAME', cell: ({ segmentName }) => segmentNameText(segmentName) },
  { title: 'ENDPOINT', cell: ({ endpoint }) => String(endpoint) },
];

/** What the addresses of pods are read by. */
export type EndpointIds = Pick<IdsView, 'network' | 'hosts' | 'tenants'>;

/** Whether the pod has, or should have, addresses of ours: it runs, and in a network namespace of its own. */
export function isEndpoint(pod: Pod): boolean {
  return !pod.hostNetwork && !podFinished(pod);
}

/** Reads the addresses of pods; made once for many of them. */
export class EndpointReader {
  readonly #ids: EndpointIds;
  readonly #hosts: ReadonlyMap<string, EndpointIds['hosts'][number]>;
  readonly #segments: ReadonlyMap<string, ReadonlyMap<number, string>>;

  constructor(ids: EndpointIds) {
    this.#ids = ids;
    this.#hosts = new Map(ids.hosts.map((host) => [host.meta.name, host]));
    this.#segments = new Map(
      ids.tenants.map(({ meta, segments }) => [meta.name, new Map(segments.map(({ id, name }) => [id, name]))]),
    );
  }

  /** A row for each address of the pod. One outside of the range of its own host is nobody's to the agents, and has none. */
  rowsOf(pod: Pod): readonly EndpointRow[] {
    if (!isEndpoint(pod)) return [];
    return pod.addresses.flatMap((address) => this.#rowOf(pod, address) ?? []);
  }

  #rowOf(pod: Pod, address: Address): EndpointRow | undefined {
    const host = this.#hosts.get(pod.nodeName);
    const plan = this.#ids.network.plans.find(({ family }) => family === familyOf(address));
    const fields = plan === undefined ? undefined : decode(plan, address);
    if (host === undefined || fields === undefined || !host.ranges.some((range) => contains(range, address))) {
      return undefined;
    }
    const { tenant, segment, endpoint, pool } = fields;
    const { namespace, name, labels } = pod.meta;
    const segmentName =
      pool === true ? labels.get(this.#ids.network.segmentLabel) : this.#segments.get(namespace)?.get(segment);
    return {
      address,
      family: familyOf(address),
      host: fields.host,
      hostName: host.meta.name,
      tenant,
      tenantName: namespace,
      segment,
      ...(segment === 0 && pool !== true ? {} : segmentName === undefined ? {} : { segmentName }),
      endpoint,
      ...(pool === true ? { pool } : {}),
      pod: name,
    };
  }
}

/** The addresses of all pods, by tenant, pod and family. */
export function endpointRows(ids: EndpointIds, pods: readonly Pod[]): readonly EndpointRow[] {
  const reader = new EndpointReader(ids);
  return pods
    .flatMap((pod) => reader.rowsOf(pod))
    .sort((a, b) => compareNames(a.tenantName, b.tenantName) || compareNames(a.pod, b.pod) || a.family - b.family);
}

/** `romana endpoints`: JSON is a list of `EndpointRow`. Resolves to the exit status of `listCommand`. */
export function endpointsCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  const { namespace } = args;
  return listCommand(args, deps, ENDPOINT_COLUMNS, async (client: KubeClient) => {
    const [ids, pods] = await Promise.all([readIds(client), readObjects(client, PODS, parsePod, { namespace })]);
    return {
      rows: endpointRows(ids, pods.objects),
      unreadable: [...ids.unreadable, ...pods.unreadable],
    };
  });
}
