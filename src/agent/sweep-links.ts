import type { Link } from '../kernel/links.ts';
import { REMOVAL_GROUP } from '../kernel/link-remover.ts';
import { POD_LINK_GROUP } from '../kernel/pod-wiring.ts';
import type { Log } from '../lib/log.ts';
import { isHostInterfaceName } from './attachment-names.ts';
import type { LeaseStore } from './leases.ts';

/** What a sweep of links stands on. */
export interface SweepOptions {
  /** The host's interfaces as they are. */
  readonly links: readonly Link[];
  readonly leases: Pick<LeaseStore, 'get' | 'damaged'>;
  /** Removes an interface. */
  readonly remove: (name: string) => Promise<void>;
  readonly onSwept: () => void;
  readonly log: Log;
}

/**
 * Removes, at the start, links of ours that no lease knows: their leases were lost, so that nobody will ask for it. A
 * link whose lease cannot be read stays until its DEL.
 */
export async function sweepLinks({ links, leases, remove, onSwept, log }: SweepOptions): Promise<void> {
  const damaged = new Set(leases.damaged().map(({ hostInterface }) => hostInterface));
  const stray = links.filter((link) => isOurs(link) && leases.get(link.name) === undefined && !damaged.has(link.name));
  const removals = stray.map(async ({ name: hostInterface }) => {
    try {
      await remove(hostInterface);
      log.warn({ hostInterface }, 'removed a link of ours that no lease knows');
      onSwept();
    } catch (error) {
      log.error({ err: error, hostInterface }, 'could not remove a link of ours that no lease knows');
    }
  });
  await Promise.all(removals);
}

/** The name alone is no proof, anybody may take it: what we make is a veth in an interface group that only we use. */
export function isOurs({ name, kind, group }: Link): boolean {
  return kind === 'veth' && isHostInterfaceName(name) && (group === POD_LINK_GROUP || group === REMOVAL_GROUP);
}
