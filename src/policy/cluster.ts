import { familyOf, type Address } from '../addr/address.ts';
import { NAMESPACE_NAME_LABEL, type Namespace } from '../objects/namespace.ts';
import type { Node } from '../objects/node.ts';
import type { ContainerPort, Pod } from '../objects/pod.ts';
import type { Policy } from './model.ts';
import type { HostParty, OutsideParty, PodParty } from './party.ts';
import type { World } from './world.ts';

/** The objects that verdicts depend on. */
export interface ClusterObjects {
  /** Pods' label that addresses' bits name. */
  readonly segmentLabel: string;
  readonly namespaces: readonly Namespace[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly policies: readonly Policy[];
}

/** Somebody who connects and is connected to: mostly a running pod. */
export interface Endpoint {
  /** `namespace/name`; `host:NODE`; an address. */
  readonly name: string;
  /** The pod, or its host where it is on the host's network. */
  readonly party: PodParty | HostParty | OutsideParty;
  /** What its containers declare. */
  readonly ports: readonly ContainerPort[];
}

/** A whole cluster of which everything is known: who can be asked about, and what they are judged by. */
export interface Cluster {
  readonly world: World;
  /** All running pods, by namespace, then name. */
  readonly endpoints: readonly Endpoint[];
  /** By name: all Nodes, and those on which a pod says it runs. */
  readonly hosts: ReadonlyMap<string, HostParty>;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Whether a pod counts: it runs, or its init containers do; where nobody said anything of it, it does. */
export function isRunning({ phase, addresses }: Pod): boolean {
  return phase === 'Running' || phase === 'Unknown' || phase === '' || (phase === 'Pending' && addresses.length > 0);
}

/** The addresses that a Node's own connections have: its first of each family. */
function ownAddresses(addresses: readonly Address[]): readonly Address[] {
  return addresses.filter((address, i) => addresses.findIndex((a) => familyOf(a) === familyOf(address)) === i);
}

function hostsOf({ nodes, pods }: ClusterObjects): Map<string, HostParty> {
  const hosts = new Map<string, HostParty>();
  for (const { meta, addresses } of nodes) {
    hosts.set(meta.name, { kind: 'host', name: meta.name, labels: meta.labels, addresses: ownAddresses(addresses) });
  }
  for (const { nodeName, hostNetwork, addresses } of pods) {
    if (nodeName === '') continue;
    const host = hosts.get(nodeName) ?? { kind: 'host', name: nodeName, labels: new Map(), addresses: [] };
    // Of a Node that says nothing, its pods on the host's network say what they know.
    hosts.set(nodeName, hostNetwork && host.addresses.length === 0 ? { ...host, addresses } : host);
  }
  return hosts;
}

function partyOf(
  pod: Pod,
  hosts: ReadonlyMap<string, HostParty>,
  nodeAddresses: readonly Address[],
): PodParty | HostParty {
  const { meta, nodeName, addresses, ports } = pod;
  if (!pod.hostNetwork) {
    const { namespace, name, labels } = meta;
    return { kind: 'pod', namespace, name, node: nodeName, labels, known: 'all', addresses, ports };
  }
  const host = hosts.get(nodeName) ?? { kind: 'host', name: '', labels: new Map(), addresses: [] };
  // Of the node's several addresses the one that the pod shows; of a node that shows none, what the pod shows.
  const own = nodeAddresses.length === 0 ? addresses : addresses.filter((address) => nodeAddresses.includes(address));
  return own.length === 0 ? host : { ...host, addresses: own };
}

function namespacesOf({ namespaces, pods, policies }: ClusterObjects): Map<string, Namespace> {
  const found = new Map(namespaces.map((namespace) => [namespace.meta.name, namespace]));
  const mentioned = [...pods.map(({ meta }) => meta.namespace), ...policies.map(({ ref }) => ref.namespace)];
  for (const name of mentioned) {
    if (name === '' || found.has(name)) continue;
    const labels = new Map([[NAMESPACE_NAME_LABEL, name]]);
    const bare = { namespace: '', uid: '', resourceVersion: '', annotations: new Map(), finalizers: [] };
    found.set(name, { meta: { ...bare, name, labels }, isolated: false, problems: [] });
  }
  return found;
}

/** Puts objects together. A namespace that is only mentioned exists, and no annotation isolates it. */
export function clusterOf(objects: ClusterObjects): Cluster {
  const hosts = hostsOf(objects);
  const nodes = new Map(objects.nodes.map(({ meta, addresses }) => [meta.name, addresses]));
  const running = objects.pods.filter(isRunning).sort((a, b) => {
    return compareText(a.meta.namespace, b.meta.namespace) || compareText(a.meta.name, b.meta.name);
  });
  return {
    world: {
      segmentLabel: objects.segmentLabel,
      namespaces: namespacesOf(objects),
      policies: objects.policies,
    },
    endpoints: running.map((pod) => ({
      name: `${pod.meta.namespace}/${pod.meta.name}`,
      party: partyOf(pod, hosts, nodes.get(pod.nodeName) ?? []),
      ports: pod.ports,
    })),
    hosts,
  };
}
