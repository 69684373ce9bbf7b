import { familyOf } from '../addr/address.ts';
import type { Address } from '../addr/address.ts';
import { cidrFamily } from '../addr/cidr.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { HostRanges } from './host-ranges.ts';
import { leaseTexts } from './lease-texts.ts';
import type { Snapshot } from './snapshot.ts';
import type { Warning } from './warning.ts';

/** A route that this host should have, all of them under our own protocol number. */
export interface DesiredRoute {
  readonly kind: 'unicast' | 'blackhole';
  readonly dst: Cidr;
  /** The next hop, on a link that the host reaches by other means; another host's own address. */
  readonly via?: Address;
  /** The interface, for what is reached on it directly. */
  readonly dev?: string;
  /** What answers for the destination on `dev`: its neighbour entry, for good. */
  readonly mac?: string;
}

/**
 * One route for each range of another host by that host's first address of the same family, one for each address of
 * a pod here, and a blackhole for this host's own ranges, so that what is for no pod never loops back to where it
 * came from.
 */
export function desiredRoutes(
  snapshot: Snapshot,
  ranges: HostRanges,
): { readonly routes: readonly DesiredRoute[]; readonly warnings: readonly Warning[] } {
  const routes: DesiredRoute[] = ranges.own.map(({ range }) => ({ kind: 'blackhole', dst: range }));
  const warnings: Warning[] = [];
  for (const { host, range } of ranges.others) {
    const via = host.addresses.find((address) => familyOf(address) === cidrFamily(range));
    if (via !== undefined) {
      routes.push({ kind: 'unicast', dst: range, via });
      continue;
    }
    // A Node joins, and joins again, before its kubelet has told its addresses.
    if (host.addresses.length === 0) continue;
    const message = `range ${range} cannot be reached: the node has no IPv${cidrFamily(range)} address`;
    warnings.push({ reason: 'HostUnreachable', object: `Host ${host.meta.name}`, message });
  }
  for (const lease of snapshot.leases) for (const { route } of leaseTexts(lease).endpoints) routes.push(route);
  return { routes, warnings };
}
