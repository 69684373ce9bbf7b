import type { Cidr } from '../addr/cidr.ts';
import type { FieldError } from '../objects/field.ts';
import type { Protocol } from '../objects/protocol.ts';
import type { LabelSelector } from '../objects/selector.ts';

export type { Protocol } from '../objects/protocol.ts';

/** As seen from the pod that a policy selects: `ingress` is towards it. */
export type Direction = 'ingress' | 'egress';

/** Pods by the labels that they and their namespaces have now. */
export interface PodSelection {
  readonly namespaces:
    | { readonly kind: 'names'; readonly names: readonly string[] }
    | { readonly kind: 'selector'; readonly selector: LabelSelector };
  readonly pods: LabelSelector;
}

/** Addresses inside `cidr` and outside all of `except`. */
export interface CidrBlock {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/** The other end of a connection, as a rule names it. */
export type Peer =
  | { readonly kind: 'pods'; readonly selection: PodSelection }
  /** All addresses of the Nodes that have these labels now. */
  | { readonly kind: 'nodes'; readonly selector: LabelSelector }
  /** Whoever has an address in one of the blocks, pods and hosts too. */
  | { readonly kind: 'cidrs'; readonly blocks: readonly CidrBlock[] };

/** Ports of the destination. A name is that of a container port of the destination with this protocol. */
export interface PortMatch {
  readonly protocol: Protocol;
  /** `from` and `to`: 1 to 65535, both inclusive. */
  readonly ports: { readonly from: number; readonly to: number } | { readonly name: string } | 'any';
}

/** One rule of a policy in one direction. */
export interface Rule {
  /** Pass and Deny only in cluster policies. Pass: the policies of the tier below decide. */
  readonly action: 'Accept' | 'Deny' | 'Pass';
  /** In the order of `from` or `to` in the source, which messages count in. Empty: matches nobody. */
  readonly peers: readonly Peer[] | 'any';
  /** Empty: matches no port. ICMP is matched by `any` alone. */
  readonly ports: readonly PortMatch[] | 'any';
  /** Where the rule stands in its source, for messages: `spec.ingress[0]`. */
  readonly field: string;
  /** What a cluster policy calls the rule, where it does. */
  readonly name?: string;
}

/** The object that a policy comes from. */
export interface PolicyRef {
  readonly kind: string;
  /** '' for cluster policies. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Of its spec, where somebody has to tell one from another: of cluster policies that an API server has stored. */
  readonly generation?: number;
}

/** A policy of any kind. */
export interface Policy {
  /** Demo policy; networking.k8s.io/v1; ClusterNetworkPolicy of tier Admin; of tier Baseline. */
  readonly source: 'demo' | 'v1' | 'admin' | 'baseline';
  readonly ref: PolicyRef;
  /** Of cluster policies, lowest first, equal ones by name; 0 for the others. */
  readonly priority: number;
  /** The pods that it is about. */
  readonly subject: PodSelection;
  /** Directions in which its subjects get only what policies allow; always false but in v1. */
  readonly isolates: { readonly ingress: boolean; readonly egress: boolean };
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
  /**
   * What in the object can't be enforced, or is not known (R25). Its rules stand here as they fail closed: an Accept
   * without peers, which matches nothing; a Deny or Pass as a Deny of everything.
   */
  readonly problems: readonly FieldError[];
}

/** `NetworkPolicy tenant-a/pol1`, `demo NetworkPolicy tenant-a/pol1`, `ClusterNetworkPolicy pol2`: for messages. */
export function policyName(policy: Pick<Policy, 'ref' | 'source'>): string {
  const { kind, namespace, name } = policy.ref;
  const full = namespace === '' ? name : `${namespace}/${name}`;
  return policy.source === 'demo' ? `demo ${kind} ${full}` : `${kind} ${full}`;
}
