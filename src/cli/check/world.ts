import { type Address, familyOf, type Family, parseAddress } from '../../addr/address.ts';
import { contains, type Cidr } from '../../addr/cidr.ts';
import { isNotFound, type KubeClient, type ListOptions } from '../../kube/client.ts';
import { Field } from '../../objects/field.ts';
import { type Host, parseHost } from '../../objects/host.ts';
import { unwrap } from '../../lib/result.ts';
import { parseNode } from '../../objects/node.ts';
import { DAEMON_SETS, ENDPOINT_SLICES, HOSTS, NODES, type Resource, SERVICES } from '../../objects/resources.ts';
import { readNetwork, readObjects } from '../cluster-view.ts';
import { readinessOf } from '../hosts.ts';
import { compareNames } from '../listing.ts';

/** An address and a TCP port. */
export interface Target {
  readonly address: Address;
  /** 1 to 65535. */
  readonly port: number;
}

/** A node as the check uses it. */
export interface CheckedNode {
  readonly name: string;
  /** The Node's own, InternalIP first. */
  readonly addresses: readonly Address[];
  /** Why no pod of the check is put there; undefined where one is. */
  readonly fault: string | undefined;
}

/** What of a cluster decides what can be checked. */
export interface World {
  /** Sorted by name. */
  readonly nodes: readonly CheckedNode[];
  /** Those of the Network's plans: every pod has an address of each. */
  readonly families: readonly Family[];
  /** Where pods' addresses are. */
  readonly ranges: readonly Cidr[];
  /** The API server's Service; undefined where the API server has no Services. */
  readonly apiService: readonly Target[] | undefined;
  /** Where the API server itself is, behind the Service. */
  readonly apiServer: readonly Target[];
  /** What the agents run; undefined where they are no DaemonSet. */
  readonly image: string | undefined;
}

const AGENTS = 'app.kubernetes.io/name=romana,app.kubernetes.io/component=agent';
const API_SERVICE = { namespace: 'default', name: 'kubernetes' } as const;

/** Reads what there is to check. @throws Error when the server refuses, or Romana is not installed there */
export async function readWorld(client: KubeClient): Promise<World> {
  const [network, hosts, nodes, service, slices, agents] = await Promise.all([
    readNetwork(client),
    readObjects(client, HOSTS, parseHost),
    client.list(NODES),
    ifThere(client.get(SERVICES, API_SERVICE.name, API_SERVICE.namespace)),
    listIfThere(client, ENDPOINT_SLICES, {
      namespace: API_SERVICE.namespace,
      labelSelector: `kubernetes.io/service-name=${API_SERVICE.name}`,
    }),
    listIfThere(client, DAEMON_SETS, { labelSelector: AGENTS }),
  ]);
  return {
    nodes: nodes.items.map((node) => readNode(node, hosts.objects)).sort((a, b) => compareNames(a.name, b.name)),
    families: network.plans.map(({ family }) => family).sort((a, b) => a - b),
    ranges: hosts.objects.flatMap(({ ranges }) => ranges),
    apiService: service === undefined ? undefined : serviceTargets(service),
    apiServer: slices.flatMap(sliceTargets),
    image: agents.map(imageOf).find((image) => image !== ''),
  };
}

/** Whether packets to an address leave the cluster: it is no pod's and no node's. */
export function isOutside({ ranges, nodes }: World, address: Address): boolean {
  return (
    !ranges.some((range) => contains(range, address)) && !nodes.some(({ addresses }) => addresses.includes(address))
  );
}

/** The first address of a family. */
export function inFamily(addresses: readonly Address[], family: Family): Address | undefined {
  return addresses.find((address) => familyOf(address) === family);
}

function readNode(json: unknown, hosts: readonly Host[]): CheckedNode {
  const { ready, why, name } = readinessOf(json);
  const parsed = parseNode(json);
  const faults = [
    ready ? undefined : `is not Ready: ${why}`,
    hosts.some(({ meta }) => meta.name === name) ? undefined : 'has no Host, so its pods get no addresses',
  ];
  return {
    name,
    addresses: parsed.ok ? parsed.value.addresses : [],
    fault: faults.find((fault) => fault !== undefined),
  };
}

function serviceTargets(service: unknown): readonly Target[] {
  const spec = Field.root(service).get('spec');
  const port = spec.get('ports').items()[0]?.get('port').integer(1, 65_535) ?? 443;
  const many = spec.get('clusterIPs').list((item) => item.parsed(parseAddress));
  const one = parseAddress(spec.get('clusterIP').string(''));
  const addresses = many.length > 0 || !one.ok ? many : [one.value];
  return addresses.map((address) => ({ address, port }));
}

function sliceTargets(slice: unknown): readonly Target[] {
  const root = Field.root(slice);
  const port = root.get('ports').items()[0]?.get('port').integer(1, 65_535) ?? 6443;
  const addresses = root
    .get('endpoints')
    .items()
    .flatMap((endpoint) => endpoint.get('addresses').items());
  return addresses.flatMap((item) => {
    const address = parseAddress(item.string(''));
    return address.ok ? [{ address: address.value, port }] : [];
  });
}

function imageOf(daemonSet: unknown): string {
  const containers = Field.root(daemonSet).get('spec').get('template').get('spec').get('containers').items();
  return containers[0]?.get('image').string('') ?? '';
}

/** What is asked for, or undefined where it, or its kind, is not there. */
async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function listIfThere(client: KubeClient, resource: Resource, options: ListOptions): Promise<readonly unknown[]> {
  return (await ifThere(client.list(resource, options)))?.items ?? [];
}

/** Reads `ADDRESS:PORT`, of IPv6 `[ADDRESS]:PORT`. @throws Error that says what is wrong with it */
export function parseTarget(text: string): Target {
  const [, six, four, port = ''] = /^(?:\[(.+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const number = Number(port);
  const address = parseAddress(six ?? four ?? '');
  if (!address.ok || port === '' || number < 1 || number > 65_535)
    throw new Error(`must be ADDRESS:PORT or [ADDRESS]:PORT, found ${JSON.stringify(text)}`);
  return { address: unwrap(address), port: number };
}
