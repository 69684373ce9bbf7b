import { familyOf } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import { decode } from '../addr/plan.ts';
import type { Plan } from '../addr/plan.ts';
import type { Labels } from '../objects/meta.ts';
import type { ContainerPort, Pod } from '../objects/pod.ts';
import { matchesPartly } from '../objects/selector.ts';
import type { LabelSelector } from '../objects/selector.ts';
import type { PodParty } from '../policy/party.ts';
import type { Lease } from './snapshot.ts';

/** A pod of which more is known than its bits say. */
export interface KnownPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Today's labels; of a lease without its Pod only the segment label. */
  readonly labels: Labels;
  readonly known: 'all' | 'segment';
  readonly ports: readonly ContainerPort[];
  readonly addresses: readonly Address[];
}

/** One address of a known pod. */
export interface KnownAddress {
  readonly pod: KnownPod;
  readonly address: Address;
  readonly family: Family;
  /** Whether its bits say exactly what the pod's labels say, so that a masked lookup finds it. */
  readonly regular: boolean;
}

/** A lease with what is known of its pod. */
export interface LocalPod {
  readonly lease: Lease;
  /** Undefined: the API shows no such pod (any more), or a finished one. */
  readonly pod: Pod | undefined;
  readonly finished: boolean;
}

/** Everything that is known about single pods, by address and by namespace. */
export interface KnownPods {
  readonly locals: readonly LocalPod[];
  readonly byAddress: ReadonlyMap<Address, KnownAddress>;
  readonly byNamespace: ReadonlyMap<string, readonly KnownAddress[]>;
  /** Those of byNamespace that masked lookups do not find. */
  readonly irregular: ReadonlyMap<string, readonly KnownAddress[]>;
  /** Those of a namespace whose pods are known to have this value of a label. */
  having(namespace: string, label: string, value: string): readonly KnownAddress[];
  /** This host's addresses whose pods are finished: nobody's. */
  readonly finished: ReadonlySet<Address>;
}

/** Whether `pod` meets `selector` for certain. */
export function podMatches(pod: KnownPod, selector: LabelSelector, segmentLabel: string): boolean {
  return matchesPartly(selector, pod.labels, (key) => pod.known === 'all' || key === segmentLabel) === 'yes';
}

/** A known pod by one of its addresses, for the oracle. */
export function partyOfPod({ namespace, name, labels, known, ports }: KnownPod, address: Address, node = ''): PodParty {
  return { kind: 'pod', namespace, name, node, labels, known, addresses: [address], ports };
}

/** Addresses that masked lookups would judge by bits that are not true of them, by family. */
export function exceptedAddresses(known: KnownPods, plan: Plan): Address[] {
  const misleads = (address: Address): boolean => decode(plan, address)?.pool === undefined;
  const found: Address[] = [];
  for (const list of known.irregular.values()) {
    for (const { address, family } of list) if (family === plan.family && misleads(address)) found.push(address);
  }
  for (const address of known.finished) if (familyOf(address) === plan.family && misleads(address)) found.push(address);
  return found;
}
