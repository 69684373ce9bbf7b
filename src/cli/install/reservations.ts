import { type Address, familyOf } from '../../addr/address.ts';
import { type Cidr, contains, makeCidr } from '../../addr/cidr.ts';
import { hostRange, hostsTakenBy, maxHost, type Plan } from '../../addr/plan.ts';
import type { Host } from '../../objects/host.ts';
import { formatIdRange } from '../../objects/id-space.ts';
import type { Site } from './site.ts';

/** A range of addresses that pods do not get, and why. */
export interface Reservation {
  readonly cidr: Cidr;
  /** `services`, `addresses of 3 nodes`, ...: for messages. */
  readonly of: string;
}

/** What a cluster has inside the plans, or has for Services, that pods must not get. */
export function foundReservations(site: Site, plans: readonly Plan[]): readonly Reservation[] {
  const services = (site.serviceCIDRs ?? []).map((cidr) => ({ cidr, of: 'services' }));
  const nodes = site.nodes.flatMap(({ addresses }) => addresses);
  const others = site.apiServers.filter((address) => !nodes.includes(address));
  return [
    ...services,
    ...aroundAddresses(nodes, plans, (count) => (count === 1 ? 'a node' : `addresses of ${count} nodes`)),
    ...aroundAddresses(others, plans, () => 'API server'),
  ];
}

/**
 * The ranges that addresses take away, one for each host id: an address takes the whole id anyway, and a list of all
 * nodes' addresses would grow with the cluster.
 */
function aroundAddresses(
  addresses: readonly Address[],
  plans: readonly Plan[],
  name: (count: number) => string,
): readonly Reservation[] {
  const counts = new Map<Cidr, number>();
  for (const address of addresses) {
    for (const plan of plans.filter(({ cidr }) => contains(cidr, address))) {
      const [taken] = hostsTakenBy(plan, [makeCidr(address, familyOf(address) === 4 ? 32 : 128)]);
      if (taken === undefined) continue; // in no host's range
      const range = hostRange(plan, taken.first);
      counts.set(range, (counts.get(range) ?? 0) + 1);
    }
  }
  return [...counts].map(([cidr, count]) => ({ cidr, of: name(count) }));
}

/** What one reservation takes away, for people: `10.96.0.0/16 (services) takes host id 96`. */
export function describeReservation({ cidr, of }: Reservation, plans: readonly Plan[]): string {
  const taken = plans.flatMap((plan) => hostsTakenBy(plan, [cidr]));
  const ids = taken.map(formatIdRange).join(', ');
  const many = taken.length > 1 || taken.some(({ first, last }) => last > first);
  return `${cidr} (${of}) takes ${taken.length === 0 ? 'no host id' : `host id${many ? 's' : ''} ${ids}`}`;
}

/** Why a reservation cannot be, when a host that is there has its addresses in it. */
export function hitHost(
  reservations: readonly Reservation[],
  hosts: readonly Host[],
  plans: readonly Plan[],
): string | undefined {
  for (const { cidr, of } of reservations) {
    for (const plan of plans) {
      const taken = hostsTakenBy(plan, [cidr]);
      const hit = hosts.find(({ id }) => taken.some(({ first, last }) => id >= first && id <= last));
      if (hit === undefined || hit.id > maxHost(plan)) continue;
      return (
        `${cidr} (${of}) cannot be reserved: host ${hit.meta.name} has id ${hit.id}, and its pods have addresses of ` +
        `${hostRange(plan, hit.id)}; drain and remove that node first, or give the other side addresses outside ${plan.cidr}`
      );
    }
  }
  return undefined;
}
