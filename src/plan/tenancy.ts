import { decode, masked, maxSegment, maxTenant } from '../addr/plan.ts';
import type { Decoded, Plan } from '../addr/plan.ts';
import type { Address } from '../addr/address.ts';
import type { Tenant } from '../objects/tenant.ts';

/**
 * Where the pods of a segment have their addresses in one family: under bits of their own, in the shared pool, or
 * nobody knows yet. What is not known compiles to nothing.
 */
export type Slot =
  | { readonly kind: 'bits'; readonly tenant: number; readonly segment: number }
  | { readonly kind: 'pool' }
  | { readonly kind: 'unknown' };

const POOL: Slot = { kind: 'pool' };
const UNKNOWN: Slot = { kind: 'unknown' };

/** What the bits of an address say of its pod. */
export interface Owner {
  readonly namespace: string;
  /** null: it had no segment label; undefined: nobody is known to have the segment's id. */
  readonly segment: string | null | undefined;
}

/** What is worked out of one plan and one namespace, once. */
interface Slots {
  readonly tenant: Slot;
  readonly bySegment: Map<string | null, Slot>;
}

interface TenantIndex {
  readonly tenant: Tenant;
  readonly idOf: ReadonlyMap<string, number>;
  readonly nameOf: ReadonlyMap<number, string>;
}

/** Ids and names of tenants and segments, both ways, each answer O(1). */
export class Tenancy {
  readonly #byNamespace = new Map<string, TenantIndex>();
  /** null: two Tenants claim the id, so it names neither. */
  readonly #byId = new Map<number, TenantIndex | null>();
  readonly #slots = new Map<Plan, Map<string, Slots>>();

  constructor(tenants: ReadonlyMap<string, Tenant>) {
    for (const [namespace, tenant] of tenants) {
      const idOf = new Map(tenant.segments.map(({ name, id }) => [name, id]));
      const nameOf = new Map(tenant.segments.filter(({ id }) => id !== 0).map(({ name, id }) => [id, name]));
      const index: TenantIndex = { tenant, idOf, nameOf };
      this.#byNamespace.set(namespace, index);
      if (tenant.id !== 0) this.#byId.set(tenant.id, this.#byId.has(tenant.id) ? null : index);
    }
  }

  /** Where pods of `namespace` have their addresses whose segment has an id of its own. */
  tenantSlot(plan: Plan, namespace: string): Slot {
    return this.#slotsOf(plan, namespace).tenant;
  }

  /** Where pods of `namespace` have their addresses whose segment label is `segment` (null: they have none). */
  segmentSlot(plan: Plan, namespace: string, segment: string | null): Slot {
    const { tenant, bySegment } = this.#slotsOf(plan, namespace);
    if (tenant.kind !== 'bits' || segment === null) return tenant;
    const before = bySegment.get(segment);
    if (before !== undefined) return before;
    const id = this.#byNamespace.get(namespace)?.idOf.get(segment);
    const slot = id === undefined ? UNKNOWN : id === 0 || id > maxSegment(plan) ? POOL : { ...tenant, segment: id };
    bySegment.set(segment, slot);
    return slot;
  }

  /** The segments that a namespace is known to have; null, the pods without the label, is always one. */
  segmentsOf(namespace: string): readonly (string | null)[] {
    return [null, ...(this.#byNamespace.get(namespace)?.idOf.keys() ?? [])];
  }

  /** Whose bits these are; undefined for the shared pool and for tenants that nobody, or more than one, is known to be. */
  ownerOf(fields: Decoded): Owner | undefined {
    const index = this.#byId.get(fields.tenant);
    if (index === undefined || index === null) return undefined;
    const namespace = index.tenant.meta.name;
    if (fields.segment === 0) return { namespace, segment: null };
    return { namespace, segment: index.nameOf.get(fields.segment) };
  }

  #slotsOf(plan: Plan, namespace: string): Slots {
    let byNamespace = this.#slots.get(plan);
    if (byNamespace === undefined) this.#slots.set(plan, (byNamespace = new Map()));
    const before = byNamespace.get(namespace);
    if (before !== undefined) return before;
    const slots: Slots = { tenant: this.#findTenantSlot(plan, namespace), bySegment: new Map() };
    byNamespace.set(namespace, slots);
    return slots;
  }

  #findTenantSlot(plan: Plan, namespace: string): Slot {
    const index = this.#byNamespace.get(namespace);
    if (index === undefined) return UNKNOWN;
    const { id, pooled } = index.tenant;
    if (pooled || id > maxTenant(plan)) return POOL;
    if (id === 0 || this.#byId.get(id) !== index) return UNKNOWN;
    return { kind: 'bits', tenant: id, segment: 0 };
  }
}

/** Whether `address` is where `slot` says; never for the unknown. */
export function isInSlot(plan: Plan, slot: Slot, address: Address): boolean {
  if (slot.kind === 'unknown') return false;
  const fields = decode(plan, address);
  if (fields === undefined) return false;
  if (slot.kind === 'pool') return fields.pool === true;
  return fields.tenant === slot.tenant && fields.segment === slot.segment && fields.pool !== true;
}

/** The mask that leaves of an address its tenant, or its tenant and segment, and never its host. */
export function peerMask(plan: Plan, kind: 'tenant' | 'segment'): Address {
  return masked(plan, kind === 'tenant' ? { tenant: 1 } : { tenant: 1, segment: 0 }).mask;
}

/** What that mask leaves of the addresses of a tenant, or of one of its segments. */
export function peerValue(plan: Plan, kind: 'tenant' | 'segment', slot: { tenant: number; segment: number }): Address {
  return masked(plan, kind === 'tenant' ? { tenant: slot.tenant } : slot).value;
}
