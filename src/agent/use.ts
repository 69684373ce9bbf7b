import type { Address } from '../addr/address.ts';
import { decode, type Plan } from '../addr/plan.ts';
import type { LeaseCount } from '../objects/host-report.ts';

/** The ids and addresses that leases of a host use. */
export interface Use {
  /** Leases by ids, `segment` 0 and `tenant` 0 included. */
  readonly leases: readonly LeaseCount[];
  /** Addresses of segments, and of the shared pool. */
  readonly use: { readonly endpoints: number; readonly pool: number };
}

/** What `addresses`, all that are taken on a host, use. */
export function useOf(plans: readonly Plan[], addresses: readonly Address[]): Use {
  const counts = new Map<string, LeaseCount>();
  const use = { endpoints: 0, pool: 0 };
  for (const address of addresses) {
    const fields = plans.map((plan) => decode(plan, address)).find((found) => found !== undefined);
    if (fields === undefined) continue;
    const { tenant, segment, pool } = fields;
    const key = `${tenant} ${segment}`;
    counts.set(key, { tenant, segment, count: (counts.get(key)?.count ?? 0) + 1 });
    if (pool === true) use.pool += 1;
    else use.endpoints += 1;
  }
  const leases = [...counts.values()].sort((a, b) => a.tenant - b.tenant || a.segment - b.segment);
  return { leases, use };
}
