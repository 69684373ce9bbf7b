import { familyOf } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import { contains } from '../addr/cidr.ts';
import { decode, hostRange, maxHost } from '../addr/plan.ts';
import type { Decoded, Plan } from '../addr/plan.ts';
import type { Host } from '../objects/host.ts';
import type { Party } from '../policy/party.ts';
import { knownPods } from './known-pods.ts';
import type { KnownPod, KnownPods } from './known-pods.ts';
import type { Snapshot } from './snapshot.ts';
import { Tenancy } from './tenancy.ts';

/** Says whose an address is, as this host knows it. */
export interface IdentityIndex {
  /**
   * Whose `address` is. O(1), also for 100,000 addresses: each is worked out once.
   *
   * A pod by its lease or what is known of it, else by its bits; a host by its own addresses; inside an assigned
   * host's range but nobody known, `unknown`; anything else, outside. The party has this address alone: it is asked for
   * one connection, and peers by CIDR are judged by the address that this connection uses.
   */
  partyOf(address: Address): Party;
}

/** The index of one snapshot. */
export function identityIndex(snapshot: Snapshot): IdentityIndex {
  return new Index(snapshot);
}

/** Whose one address is; for many, make an index. */
export function partyOf(snapshot: Snapshot, address: Address): Party {
  return identityIndex(snapshot).partyOf(address);
}

class Index implements IdentityIndex {
  readonly #snapshot: Snapshot;
  readonly #tenancy: Tenancy;
  readonly #known: KnownPods;
  readonly #plans: ReadonlyMap<Family, Plan>;
  readonly #hostById = new Map<number, Host>();
  readonly #hostByAddress = new Map<Address, Host>();
  readonly #wholeRanges = new Map<string, boolean>();
  readonly #parties = new Map<Address, Party>();

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    this.#tenancy = new Tenancy(snapshot.tenants);
    this.#known = knownPods(snapshot, this.#tenancy);
    this.#plans = new Map(snapshot.network.plans.map((plan) => [plan.family, plan]));
    for (const host of snapshot.hosts.values()) {
      this.#hostById.set(host.id, host);
      for (const address of host.addresses) this.#hostByAddress.set(address, host);
    }
  }

  partyOf(address: Address): Party {
    const before = this.#parties.get(address);
    if (before !== undefined) return before;
    const party = this.#find(address);
    this.#parties.set(address, party);
    return party;
  }

  #find(address: Address): Party {
    const known = this.#known.byAddress.get(address);
    if (known !== undefined) return this.#podParty(known.pod, address);
    const node = this.#hostByAddress.get(address);
    if (node !== undefined) return { kind: 'host', name: node.meta.name, addresses: [address] };
    return this.#byBits(address);
  }

  #podParty(pod: KnownPod, address: Address): Party {
    const { namespace, name, labels, known, ports } = pod;
    const node = this.#hostOf(address, this.#fieldsOf(address))?.meta.name ?? '';
    return { kind: 'pod', namespace, name, node, labels, known, addresses: [address], ports };
  }

  #byBits(address: Address): Party {
    const fields = this.#fieldsOf(address);
    const host = this.#hostOf(address, fields);
    if (host === undefined) return { kind: 'outside', address };
    const owner = fields === undefined ? undefined : this.#tenancy.ownerOf(fields);
    // What is here and has no lease is nobody's.
    if (owner === undefined || host.meta.name === this.#snapshot.node) return { kind: 'unknown', address };
    const { namespace, segment } = owner;
    const labels = new Map(segment === null ? [] : [[this.#snapshot.network.segmentLabel, segment]]);
    const node = host.meta.name;
    return { kind: 'pod', namespace, name: '', node, labels, known: 'segment', addresses: [address], ports: [] };
  }

  #fieldsOf(address: Address): Decoded | undefined {
    const plan = this.#plans.get(familyOf(address));
    return plan === undefined ? undefined : decode(plan, address);
  }

  /** The host in whose range `address` is. Fields too large to be ids still leave it in somebody's range. */
  #hostOf(address: Address, fields: Decoded | undefined): Host | undefined {
    const plan = this.#plans.get(familyOf(address));
    if (plan === undefined) return undefined;
    if (fields !== undefined) {
      const host = this.#hostById.get(fields.host);
      return host !== undefined && this.#holdsAll(plan, host) ? host : this.#search(address);
    }
    return contains(plan.cidr, address) ? this.#search(address) : undefined;
  }

  /** Whether the host has the whole range of its id, as it should: then the id alone tells. */
  #holdsAll(plan: Plan, host: Host): boolean {
    const key = `${plan.family} ${host.id}`;
    const before = this.#wholeRanges.get(key);
    if (before !== undefined) return before;
    const whole = host.id <= maxHost(plan) && host.ranges.includes(hostRange(plan, host.id));
    this.#wholeRanges.set(key, whole);
    return whole;
  }

  #search(address: Address): Host | undefined {
    return [...this.#snapshot.hosts.values()].find((host) => host.ranges.some((range) => contains(range, address)));
  }
}
