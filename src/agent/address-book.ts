import { type Address, compareAddresses } from '../addr/address.ts';
import { EndpointAllocator } from '../addr/endpoints.ts';
import {
  FIRST_ENDPOINT,
  type Plan,
  decode,
  encode,
  formatPlan,
  maxEndpoint,
  maxPoolEndpoint,
  maxSegment,
  maxTenant,
} from '../addr/plan.ts';
import type { Clock } from '../lib/clock.ts';
import { type Result, err, ok, unwrap } from '../lib/result.ts';

/** Where in the plans a pod's addresses are to be. */
export interface Place {
  readonly hostId: number;
  /** 0 while the namespace is in the shared pool. */
  readonly tenantId: number;
  /** 0 for pods without the segment label, and while the segment is in the shared pool. */
  readonly segmentId: number;
  /** Whether namespace or segment have no id and the pod's addresses are to be in the shared pool. */
  readonly pool: boolean;
}

interface Range {
  readonly plan: Plan;
  readonly host: number;
  /** 0 is the shared pool. */
  readonly tenant: number;
  readonly segment: number;
  readonly allocator: EndpointAllocator;
}

/** So many addresses that others still show are passed over for one pod, at most. */
const MAX_PASSED_OVER = 1_024;

/**
 * The addresses of this host: gives each pod one of each plan, out of its segment, or out of the shared pool when
 * the ids do not fit the plan or the segment is full on this host. An unrested address is given out only when
 * neither has a rested one.
 */
export class AddressBook {
  readonly #clock: Clock;
  readonly #shown: (address: Address, uid: string) => boolean;
  readonly #ranges = new Map<string, Range>();
  /** Every address in use, with its range as far as that is known. */
  readonly #taken = new Map<Address, Range | undefined>();
  /** When addresses were given back, in milliseconds, whose range is not known yet. */
  readonly #released = new Map<Address, number>();

  /** @param shown whether the API still shows `address` for a pod of this node other than the one with `uid`. */
  constructor(clock: Clock, shown: (address: Address, uid: string) => boolean) {
    this.#clock = clock;
    this.#shown = shown;
  }

  /** Marks addresses as taken that the book did not give out itself: those of leases on file. */
  reserve(addresses: readonly Address[]): void {
    for (const address of addresses) {
      if (this.#taken.get(address) !== undefined) continue;
      this.#taken.set(address, undefined);
      for (const range of this.#ranges.values()) this.#settle(range, address);
    }
  }

  /** One address of each plan for the pod with `uid`, or what is full; then none is taken. */
  allocate(plans: readonly Plan[], place: Place, uid: string): Result<readonly Address[]> {
    const given: Address[] = [];
    for (const plan of plans) {
      const address = this.#allocateOne(plan, place, uid);
      if (address === undefined) {
        this.release(given);
        return err(`no IPv${plan.family} address is free on this host: ${this.#fullText(plan, place)}`);
      }
      given.push(address);
    }
    return ok(given);
  }

  /** Gives addresses back. The caller has made sure that no connection of theirs is left. */
  release(addresses: readonly Address[]): void {
    const now = this.#clock.now();
    for (const address of addresses) {
      const range = this.#taken.get(address);
      if (!this.#taken.delete(address)) continue;
      if (range === undefined) this.#released.set(address, now);
      else range.allocator.release(endpointIn(range, address) ?? -1, now);
    }
  }

  /**
   * Whether no pod at all can get addresses: a family's shared pool has none left, and no segment that anybody could
   * have has one in every such family.
   */
  full(plans: readonly Plan[], hostId: number): boolean {
    const crowded = plans.filter((plan) => this.#range(plan, hostId, 0, 0).allocator.free === 0);
    if (crowded.length === 0) return false;
    const tenants = Math.min(...crowded.map(maxTenant)); // from 1
    const segments = Math.min(...crowded.map(maxSegment)) + 1; // from 0
    if (crowded.some((plan) => roomOf(plan) === 0)) return true;
    const full = new Set(crowded.flatMap((plan) => this.#fullSegments(plan, hostId, { tenants, segments })));
    return full.size === tenants * segments;
  }

  /** The addresses that are taken, in order. */
  taken(): readonly Address[] {
    return [...this.#taken.keys()].sort(compareAddresses);
  }

  #allocateOne(plan: Plan, place: Place, uid: string): Address | undefined {
    const ranges = this.#rangesFor(plan, place);
    for (const choice of ['rested', 'any'] as const) {
      for (const range of ranges) {
        const address = this.#take(range, choice, uid);
        if (address !== undefined) return address;
      }
    }
    return undefined;
  }

  #rangesFor(plan: Plan, { hostId, tenantId, segmentId, pool }: Place): readonly Range[] {
    const shared = this.#range(plan, hostId, 0, 0);
    const fits = !pool && tenantId >= 1 && tenantId <= maxTenant(plan) && segmentId <= maxSegment(plan);
    return fits ? [this.#range(plan, hostId, tenantId, segmentId), shared] : [shared];
  }

  #take(range: Range, choice: 'any' | 'rested', uid: string): Address | undefined {
    const now = this.#clock.now();
    const passedOver: number[] = [];
    let found: Address | undefined;
    while (found === undefined && passedOver.length < MAX_PASSED_OVER) {
      const endpoint = range.allocator.take(now, choice);
      if (endpoint === undefined) break;
      const { plan, host, tenant, segment } = range;
      const address = unwrap(encode(plan, { host, tenant, segment, endpoint }));
      if (this.#shown(address, uid)) passedOver.push(endpoint);
      else found = address;
    }
    for (const endpoint of passedOver) range.allocator.release(endpoint, now);
    if (found === undefined) return undefined;
    this.#taken.set(found, range);
    return found;
  }

  /** The range with these ids, which is made with what is known of its addresses when it is first needed. */
  #range(plan: Plan, host: number, tenant: number, segment: number): Range {
    const key = `${formatPlan(plan)} ${host} ${tenant} ${segment}`;
    const known = this.#ranges.get(key);
    if (known !== undefined) return known;
    const last = tenant === 0 ? maxPoolEndpoint(plan) : maxEndpoint(plan);
    const allocator = new EndpointAllocator({ first: FIRST_ENDPOINT, last });
    const range: Range = { plan, host, tenant, segment, allocator };
    this.#ranges.set(key, range);
    for (const [address, when] of this.#released) {
      const endpoint = endpointIn(range, address);
      if (endpoint === undefined) continue;
      allocator.release(endpoint, when);
      this.#released.delete(address);
    }
    for (const [address, itsRange] of this.#taken) if (itsRange === undefined) this.#settle(range, address);
    return range;
  }

  /** Marks `address` as held in `range`, if it is one of its. */
  #settle(range: Range, address: Address): void {
    const endpoint = endpointIn(range, address);
    if (endpoint === undefined) return;
    range.allocator.reserve(endpoint);
    this.#taken.set(address, range);
  }

  /** Of tenants 1 to `tenants` and segments below `segments` those without a free address, each as "tenant segment". */
  #fullSegments(plan: Plan, hostId: number, of: { tenants: number; segments: number }): readonly string[] {
    const counts = new Map<string, number>();
    for (const address of this.#taken.keys()) {
      const fields = decode(plan, address);
      if (fields?.host !== hostId || fields.tenant === 0) continue;
      if (fields.tenant > of.tenants || fields.segment >= of.segments) continue;
      const key = `${fields.tenant} ${fields.segment}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].flatMap(([key, count]) => (count >= roomOf(plan) ? [key] : []));
  }

  #fullText(plan: Plan, place: Place): string {
    const ranges = this.#rangesFor(plan, place).map(({ tenant, segment, allocator }) => {
      const name = tenant === 0 ? 'the shared pool' : `tenant ${tenant} segment ${segment}`;
      return `${name} has ${allocator.held} of ${allocator.held + allocator.free} in use`;
    });
    return ranges.join(', ');
  }
}

/** How many pods of one segment a host has addresses for. */
function roomOf(plan: Plan): number {
  return Math.max(0, maxEndpoint(plan) - FIRST_ENDPOINT + 1);
}

function endpointIn(range: Range, address: Address): number | undefined {
  const fields = decode(range.plan, address);
  if (fields === undefined || fields.host !== range.host) return undefined;
  return fields.tenant === range.tenant && fields.segment === range.segment ? fields.endpoint : undefined;
}
