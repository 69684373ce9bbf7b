import type { IdRange } from '../addr/ids.ts';
import { hostRange, hostsTakenBy, maxHost, maxSegment, maxTenant } from '../addr/plan.ts';
import type { Plan } from '../addr/plan.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { Host } from './host.ts';
import type { Network } from './network.ts';

/** Host ids: one must fit every family. */
export function hostIds(network: Network): IdRange {
  return { first: 0, last: Math.min(...network.plans.map(maxHost)) };
}

/** Tenant ids: a family whose field is too narrow for one uses its shared pool. */
export function tenantIds(network: Network): IdRange {
  return { first: 1, last: Math.max(...network.plans.map(maxTenant)) };
}

/** Segment ids, likewise. */
export function segmentIds(network: Network): IdRange {
  return { first: 1, last: Math.max(...network.plans.map(maxSegment)) };
}

/** Host ids whose ranges reserved CIDRs overlap in any family, sorted and apart. */
export function reservedHostIds(network: Network): readonly IdRange[] {
  const { last } = hostIds(network);
  const all = network.plans.flatMap((plan) => hostsTakenBy(plan, network.reservedCIDRs));
  const merged: { first: number; last: number }[] = [];
  for (const range of all.toSorted((a, b) => a.first - b.first)) {
    if (range.first > last) continue;
    const previous = merged.at(-1);
    if (previous === undefined || range.first > previous.last + 1) {
      merged.push({ first: range.first, last: Math.min(range.last, last) });
    } else {
      previous.last = Math.max(previous.last, Math.min(range.last, last));
    }
  }
  return merged;
}

/** "96-111", "7". */
export function formatIdRange({ first, last }: IdRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** Why these plans cannot be, when one of `hosts` has other ranges than they give it. */
export function heldByHosts(network: Network, hosts: Iterable<Host>): string | undefined {
  for (const host of hosts) {
    const ranges = rangesOf(network, host.id);
    if (ranges?.length === host.ranges.length && ranges.every((range) => host.ranges.includes(range))) continue;
    return (
      `the address plan cannot change while hosts hold it: host ${host.meta.name} (id ${host.id}) has ` +
      `${host.ranges.join(' and ')}, under this plan it would have ${ranges?.join(' and ') ?? 'no range'}; ` +
      'put the old plan back, or remove all nodes first'
    );
  }
  return undefined;
}

/** The ranges of the host with this id, one a family; undefined when a plan has no such host. */
export function rangesOf(network: Network, id: number): readonly Cidr[] | undefined {
  return id > hostIds(network).last ? undefined : network.plans.map((plan) => hostRange(plan, id));
}

/** The plans in which pods of a tenant with this id (0: none) get addresses of the shared pool. */
export function pooledPlans(network: Network, tenant: number): readonly Plan[] {
  return network.plans.filter((plan) => tenant === 0 || tenant > maxTenant(plan));
}
