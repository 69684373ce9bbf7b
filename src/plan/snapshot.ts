import type { Address } from '../addr/address.ts';
import type { Host } from '../objects/host.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Network } from '../objects/network.ts';
import type { Pod } from '../objects/pod.ts';
import type { Tenant } from '../objects/tenant.ts';
import type { Policy } from '../policy/model.ts';

/** How the ADD of a lease came. */
export interface Origin {
  /** Name of the CNI network. */
  readonly network: string;
  /** Path of the pod's network namespace. */
  readonly netns: string;
  /** The namespace that was behind the path, as device and inode: a path may come to mean another one. */
  readonly netnsId: string;
  /** When it last began, in milliseconds since the Unix epoch. */
  readonly since: number;
}

/** An endpoint that this host's agent has given out: one interface of one pod, with its addresses. */
export interface Lease {
  /** Of the Pod; for a static pod the hash that the kubelet knows it by. */
  readonly uid: string;
  readonly containerId: string;
  /** Inside the pod. */
  readonly ifname: string;
  /** The host's end of the veth. */
  readonly hostInterface: string;
  readonly namespace: string;
  readonly pod: string;
  /** The segment label when the sandbox was made; null: it had none (segment 0). '' is a value like any other. */
  readonly segment: string | null;
  readonly addresses: readonly Address[];
  readonly hostMac: string;
  readonly podMac: string;
  /** Absent in what an agent of former times wrote. */
  readonly origin?: Origin;
}

/** All that the agent of one host knows at one moment; the plan is a function of this alone. */
export interface Snapshot {
  readonly network: Network;
  /** The name of this host's Node. */
  readonly node: string;
  /** By name of the Node; this host's own is among them once it has an id. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** By namespace. */
  readonly tenants: ReadonlyMap<string, Tenant>;
  /** By name. One that is missing counts as isolated. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** This host's pods by uid. */
  readonly localPods: ReadonlyMap<string, Pod>;
  /** What the extra watches show (Desired.peerWatches): pods of any host. */
  readonly peerPods: readonly Pod[];
  readonly policies: readonly Policy[];
  readonly leases: readonly Lease[];
  /** Interfaces by which other hosts are reached. */
  readonly uplinks: readonly string[];
  /** The NFLOG group by which denied packets are told of; undefined while nobody listens. */
  readonly nflogGroup?: number | undefined;
}
