import type { Address } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { HostReport } from '../objects/host-report.ts';
import type { Host } from '../objects/host.ts';
import type { Labels, Meta } from '../objects/meta.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Node, NodeCondition } from '../objects/node.ts';
import type { Pod } from '../objects/pod.ts';
import type { ReleasedSegment, Segment, Tenant } from '../objects/tenant.ts';
import type { Policy } from '../policy/model.ts';
import type { IdClaim, NewClaim } from '../objects/id-claim.ts';
import type { NetworkStatus, ObservedNetwork } from './network-status.ts';

/** The annotation of a Tenant that says which namespace of its name it belongs to: that namespace's uid. */
export const NAMESPACE_UID_ANNOTATION = 'romana.io/namespace-uid';

/** What decides whether anybody may still act for the old owner of an id: who there is, and what they report. */
export interface Agents {
  /** By name. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** By name. */
  readonly reports: ReadonlyMap<string, HostReport>;
  /** Whether every Host and every HostReport could be read. */
  readonly agentsReadable: boolean;
}

/** An id on its way to a new owner. */
export interface Release {
  /** As agents acknowledge it (objects/release.ts). */
  readonly name: string;
  readonly host?: number;
  /** Absent, as `host` is: of no id, but of all that was given before a backup was restored. */
  readonly tenant?: number;
  /** Absent: the tenant's id itself, with all its segments. */
  readonly segment?: number;
}

/** What the controller knows of the cluster; maps are by name, pods by namespace/name. */
export interface ClusterState extends Agents {
  readonly network: ObservedNetwork | undefined;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly policies: readonly Policy[];
  readonly tenants: ReadonlyMap<string, Tenant>;
  readonly claims: ReadonlyMap<string, IdClaim>;
  /** Keys of Nodes, namespaces, pods, Hosts, Tenants and claims that can't be read: what hangs on them stays as it is. */
  readonly unreadable: ReadonlySet<string>;
}

/** What a Host says by its controller. */
export interface HostSpec {
  readonly id: number;
  readonly ranges: readonly Cidr[];
  readonly addresses: readonly Address[];
  readonly labels: Labels;
}

/** What a Tenant says. */
export interface TenantStatus {
  readonly id: number;
  readonly pooled: boolean;
  readonly segments: readonly Segment[];
  readonly released: readonly ReleasedSegment[];
}

/** One write to the API server. Where there is a `meta`, its uid and resourceVersion are a precondition. */
export type Action =
  | { readonly kind: 'create-claim'; readonly claim: NewClaim }
  /** Only once the API server has confirmed that its holder is gone. */
  | { readonly kind: 'release-claim'; readonly claim: IdClaim }
  /** The holder is back before its id went to another. */
  | { readonly kind: 'keep-claim'; readonly claim: IdClaim }
  /** Where it frees an id, only once the API server has confirmed that nobody means the old owner. */
  | { readonly kind: 'delete-claim'; readonly meta: Meta; readonly frees?: Release }
  | { readonly kind: 'create-host'; readonly name: string; readonly spec: HostSpec }
  | { readonly kind: 'update-host'; readonly meta: Meta; readonly spec: HostSpec; readonly before: HostSpec }
  /** Only once the API server has confirmed that its Node is gone, or that its name has not claimed its id. */
  | { readonly kind: 'delete-host'; readonly host: Host; readonly because: 'no-node' | 'unclaimed-id' }
  | { readonly kind: 'create-tenant'; readonly namespace: Pick<Meta, 'name' | 'uid'> }
  /** Where it frees ids of segments, likewise. */
  | {
      readonly kind: 'set-tenant';
      readonly meta: Meta;
      readonly status: TenantStatus;
      readonly frees: readonly Release[];
    }
  /** Only once the API server has confirmed that its namespace is gone; or, without pods, to be made with a better id. */
  | { readonly kind: 'delete-tenant'; readonly meta: Meta; readonly because: 'no-namespace' | 'better-id' }
  | {
      readonly kind: 'set-node-network';
      readonly node: Meta;
      /** Of type NetworkUnavailable. */
      readonly condition: NodeCondition;
    }
  | {
      readonly kind: 'set-network-status';
      readonly network: ObservedNetwork;
      readonly status: NetworkStatus;
      readonly frees: readonly Release[];
    };

/** Something a person has to know, told as an Event about an object. */
export interface Warning {
  readonly about: {
    readonly kind: 'Namespace' | 'Node' | 'Network';
    readonly name: string;
    readonly uid: string;
  };
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** What is to be done; empty when the cluster is as it has to be. */
export interface Assignment {
  readonly actions: readonly Action[];
  readonly warnings: readonly Warning[];
}
