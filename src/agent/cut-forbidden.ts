import type { Address } from '../addr/address.ts';
import type { Conntrack } from '../kernel/conntrack.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Log } from '../lib/log.ts';
import { REVOKED_MARK } from '../plan/revoked-mark.ts';
import { benchOf } from './bench.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Observer } from './observer.ts';
import type { ReconcilerOptions } from './reconciler.ts';
import { findRevocations } from './revocation.ts';

/** What connections are cut with. */
export interface CutOptions {
  readonly conntrack: Pick<Conntrack, 'list' | 'listByAddress' | 'setMark'>;
  /** Finds the addresses that the host has: all of them are its own, also those that its Node does not mention. */
  readonly rtnl: Pick<Rtnl, 'addresses'>;
  readonly observer: Pick<Observer, 'watchPeers' | 'peersSynced'>;
  readonly metrics: Pick<AgentMetrics, 'revoked' | 'pardoned'>;
  readonly log: Log;
}

/**
 * Cuts the open connections of this host's pods that `snapshot` forbids, and lets go on those that it allows again.
 * Whether some are left as they are, because peers that policy names now have not been listed yet: `findRevocations`.
 */
export function cutForbidden(
  { snapshot, desired, identities, turned, patient }: Parameters<ReconcilerOptions['revoke']>[0],
  { conntrack, rtnl, observer, metrics, log }: CutOptions,
): boolean {
  observer.watchPeers(desired.peerWatches);
  if (snapshot.leases.length === 0) return false;
  const bench = benchOf(snapshot, identities, new Set(rtnl.addresses().map(({ address }) => address)));
  // Of the few that a change is about the kernel finds the connections sooner than we can read all.
  const entries = turned === 'all' ? conntrack.list() : conntrack.listByAddress([...turned] as Address[]);
  const { cut, pardon, undecided } = findRevocations(entries, bench, {
    patient: patient && !observer.peersSynced,
  });
  if (cut.length > 0) conntrack.setMark(cut, REVOKED_MARK, REVOKED_MARK);
  if (pardon.length > 0) conntrack.setMark(pardon, 0, REVOKED_MARK);
  metrics.revoked.inc(cut.length);
  metrics.pardoned.inc(pardon.length);
  if (cut.length > 0) log.info({ connections: cut.length }, 'cuts connections that policy forbids now');
  return undecided.length > 0;
}
