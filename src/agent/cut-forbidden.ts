import type { Conntrack } from '../kernel/conntrack.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Log } from '../lib/log.ts';
import { REVOKED_MARK } from '../plan/revoked-mark.ts';
import type { IdentityIndex } from '../plan/identity.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { benchOf } from './bench.ts';
import type { AgentMetrics } from './metrics.ts';
import { findRevocations } from './revocation.ts';

/** What connections are cut with. */
export interface CutOptions {
  readonly conntrack: Pick<Conntrack, 'list' | 'setMark'>;
  /** Finds the addresses that the host has: all of them are its own, also those that its Node does not mention. */
  readonly rtnl: Pick<Rtnl, 'addresses'>;
  readonly metrics: Pick<AgentMetrics, 'revoked' | 'pardoned'>;
  readonly log: Log;
}

/** Cuts the open connections of this host's pods that `snapshot` forbids, and lets go on those that it allows again. */
export function cutForbidden(
  snapshot: Snapshot,
  identities: IdentityIndex,
  { conntrack, rtnl, metrics, log }: CutOptions,
): void {
  if (snapshot.leases.length === 0) return;
  const bench = benchOf(snapshot, identities, new Set(rtnl.addresses().map(({ address }) => address)));
  const { cut, pardon } = findRevocations(conntrack.list(), bench);
  if (cut.length > 0) conntrack.setMark(cut, REVOKED_MARK, REVOKED_MARK);
  if (pardon.length > 0) conntrack.setMark(pardon, 0, REVOKED_MARK);
  metrics.revoked.inc(cut.length);
  metrics.pardoned.inc(pardon.length);
  if (cut.length > 0) log.info({ connections: cut.length }, 'cuts connections that policy forbids now');
}
