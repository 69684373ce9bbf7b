import { familyOf } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import { contains } from '../addr/cidr.ts';
import { decode } from '../addr/plan.ts';
import type { Decoded, Plan } from '../addr/plan.ts';
import type { Host } from '../objects/host.ts';
import type { Party } from '../policy/party.ts';
import { type HeldRange, hostRanges } from './host-ranges.ts';
import { knownPods } from './known-index.ts';
import { partyOfPod } from './known-pods.ts';
import type { KnownPods } from './known-pods.ts';
import type { Snapshot } from './snapshot.ts';
import { Tenancy } from './tenancy.ts';

/** The index of one snapshot. */
export function identityIndex(snapshot: Snapshot): IdentityIndex {
  const tenancy = new Tenancy(snapshot.tenants);
  return new IdentityIndex(snapshot, { tenancy, known: knownPods(snapshot, tenancy) });
}

/** Whose one address is; for many, make an index. */
export function partyOf(snapshot: Snapshot, address: Address): Party {
  return identityIndex(snapshot).partyOf(address);
}

/** Says whose an address is, as this host knows it. */
export class IdentityIndex {
  readonly #snapshot: Snapshot;
  readonly #tenancy: Tenancy;
  readonly #known: KnownPods;
  readonly #plans: ReadonlyMap<Family, Plan>;
  readonly #ranges: readonly HeldRange[];
  /** By family and id. */
  readonly #holders: ReadonlyMap<string, Host>;
  readonly #hostByAddress = new Map<Address, Host>();
  readonly #parties = new Map<Address, Party>();

  constructor(snapshot: Snapshot, { tenancy, known }: { readonly tenancy: Tenancy; readonly known: KnownPods }) {
    this.#snapshot = snapshot;
    this.#tenancy = tenancy;
    this.#known = known;
    this.#plans = new Map(snapshot.network.plans.map((plan) => [plan.family, plan]));
    const { own, others } = hostRanges(snapshot).ranges;
    this.#ranges = [...own, ...others];
    this.#holders = new Map(this.#ranges.map(({ plan, host }) => [`${plan.family} ${host.id}`, host]));
    for (const host of snapshot.hosts.values()) {
      for (const address of host.addresses) this.#hostByAddress.set(address, host);
    }
  }

  /**
   * Whose `address` is. O(1), also for 100,000 addresses: each is worked out once.
   *
   * A pod by its lease or what is known of it, else by its bits; a host by its own addresses; inside an assigned
   * host's range but nobody known, `unknown`; anything else, outside. The party has this address alone: it is asked for
   * one connection, and peers by CIDR are judged by the address that this connection uses.
   */
  partyOf(address: Address): Party {
    const before = this.#parties.get(address);
    if (before !== undefined) return before;
    const party = this.#find(address);
    this.#parties.set(address, party);
    return party;
  }

  #find(address: Address): Party {
    const known = this.#known.byAddress.get(address);
    if (known !== undefined) return partyOfPod(known.pod, address, this.#nodeOf(address));
    const node = this.#hostByAddress.get(address);
    if (node !== undefined) return { kind: 'host', name: node.meta.name, labels: node.labels, addresses: [address] };
    return this.#byBits(address);
  }

  #nodeOf(address: Address): string {
    return this.#hostOf(address, this.#fieldsOf(address))?.meta.name ?? '';
  }

  #byBits(address: Address): Party {
    const fields = this.#fieldsOf(address);
    const host = this.#hostOf(address, fields);
    if (host === undefined) return { kind: 'outside', address };
    const owner = fields === undefined ? undefined : this.#tenancy.ownerOf(fields);
    // What is here and has no lease is nobody's.
    if (owner === undefined || host.meta.name === this.#snapshot.node) return { kind: 'unknown', address };
    const { namespace, segment } = owner;
    const labels = new Map(typeof segment === 'string' ? [[this.#snapshot.network.segmentLabel, segment]] : []);
    const known = segment === undefined ? 'namespace' : 'segment';
    const node = host.meta.name;
    return { kind: 'pod', namespace, name: '', node, labels, known, addresses: [address], ports: [] };
  }

  #fieldsOf(address: Address): Decoded | undefined {
    const plan = this.#plans.get(familyOf(address));
    return plan === undefined ? undefined : decode(plan, address);
  }

  /** The host in whose range `address` is. Fields too large to be ids still leave it in somebody's range. */
  #hostOf(address: Address, fields: Decoded | undefined): Host | undefined {
    const family = familyOf(address);
    if (fields !== undefined) return this.#holders.get(`${family} ${fields.host}`);
    const plan = this.#plans.get(family);
    if (plan === undefined || !contains(plan.cidr, address)) return undefined;
    return this.#ranges.find(({ range }) => contains(range, address))?.host;
  }
}
