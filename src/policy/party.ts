import type { Address } from '../addr/address.ts';
import type { Labels } from '../objects/meta.ts';
import type { ContainerPort } from '../objects/pod.ts';

/** A pod as one end of a connection. */
export interface PodParty {
  readonly kind: 'pod';
  readonly namespace: string;
  /** '' where only the address's bits are known. */
  readonly name: string;
  /** Of the Node that it runs on; '' where that is not known. */
  readonly node: string;
  readonly labels: Labels;
  /**
   * What of its labels. `segment`: read from the address's bits; beside the segment label, or that there is none, no
   * label is known. `namespace`: the bits' segment is nobody's yet, so that no label at all is known.
   */
  readonly known: 'all' | 'segment' | 'namespace';
  readonly addresses: readonly Address[];
  /** Empty unless `known` is `all`. */
  readonly ports: readonly ContainerPort[];
}

/** A host, and with it every pod on its network. No policy selects it. */
export interface HostParty {
  readonly kind: 'host';
  /** Of the Node, as are the labels. */
  readonly name: string;
  readonly labels: Labels;
  readonly addresses: readonly Address[];
}

/** An address inside a host's range of which nothing is known: it may be any pod. */
export interface UnknownParty {
  readonly kind: 'unknown';
  readonly address: Address;
}

/** An address that is no pod's and no host's. */
export interface OutsideParty {
  readonly kind: 'outside';
  readonly address: Address;
}

/** One end of a connection. */
export type Party = PodParty | HostParty | UnknownParty | OutsideParty;

/** The addresses of `party`: none only of a pod whose node has not reported any. */
export function addressesOf(party: Party): readonly Address[] {
  return party.kind === 'pod' || party.kind === 'host' ? party.addresses : [party.address];
}

/** `tenant-a/frontend`, `host minion1`, an address: for messages. */
export function partyName(party: Party): string {
  if (party.kind === 'host') return `host ${party.name}`;
  if (party.kind !== 'pod') return party.address;
  return `${party.namespace}/${party.name === '' ? (party.addresses[0] ?? '?') : party.name}`;
}
