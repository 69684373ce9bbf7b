import { countFreeIds } from '../../addr/ids.ts';
import {
  FIRST_ENDPOINT,
  formatPlan,
  maxEndpoint,
  maxPoolEndpoint,
  maxSegment,
  maxTenant,
  type Plan,
} from '../../addr/plan.ts';
import { hostIds, reservedHostIds } from '../../objects/id-space.ts';
import type { Network } from '../../objects/network.ts';
import type { Site } from './site.ts';

/** How many hosts can still join: ids that fit all families, are not reserved and not in use. */
export function hostIdsLeft(network: Network, site: Site | undefined): number {
  const taken = new Set((site?.hosts ?? []).map(({ id }) => id));
  return countFreeIds(hostIds(network), { taken, excluded: reservedHostIds(network) });
}

/** What the plans have room for, in words, a line for each family and one for hosts. */
export function describeCapacity(network: Network, site: Site | undefined): readonly string[] {
  const { first, last } = hostIds(network);
  const hosts = `room for ${hostIdsLeft(network, site)} ${site?.hosts.length ? 'more ' : ''}hosts, of ${last - first + 1} ids`;
  return [hosts, ...network.plans.map((plan) => describePlan(plan, site))];
}

function describePlan(plan: Plan, site: Site | undefined): string {
  const used = (site?.tenants ?? []).filter(({ id }) => id > 0 && id <= maxTenant(plan)).length;
  const tenants = maxTenant(plan) - used;
  return (
    `plan ${formatPlan(plan)}: ${tenants} ${used > 0 ? 'more ' : ''}tenants of ${maxSegment(plan)} segments each, ` +
    `${countTo(maxEndpoint(plan))} endpoints a segment and host, ` +
    `${countTo(maxPoolEndpoint(plan))} a host in the pool that further tenants and segments share`
  );
}

/** How many endpoints there are up to `last`. */
function countTo(last: number): number {
  return Math.max(0, last - FIRST_ENDPOINT + 1);
}
