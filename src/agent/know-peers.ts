import { plan } from '../plan/desired.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import type { Known } from './known.ts';
import type { Observer } from './observer.ts';

/** How long the first transaction waits for the pods that policy names as peers, in milliseconds. */
const PEERS_MS = 5_000;

/** What `knowPeers` is given. */
export interface KnowPeersOptions {
  readonly snapshot: Snapshot | undefined;
  readonly observer: Pick<Observer, 'watchPeers' | 'peersSynced' | 'until'>;
  readonly known: Pick<Known, 'keepPeers'>;
  readonly signal: AbortSignal;
}

/**
 * Opens the watches on peers that policy asks for and waits, bounded, until all that they are about is listed: what is
 * not known is closed, and an agent's first transaction must not close what the last agent's had open (R9).
 *
 * @throws the signal's reason.
 */
export async function knowPeers({ snapshot, observer, known, signal }: KnowPeersOptions): Promise<void> {
  if (snapshot === undefined) return;
  const { peerWatches } = plan(snapshot);
  observer.watchPeers(peerWatches);
  known.keepPeers(peerWatches.map(({ namespace, selector }) => ({ namespace, labelSelector: selector })));
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(PEERS_MS)]);
  await observer.until(() => (observer.peersSynced ? true : undefined), bounded).catch(() => signal.throwIfAborted());
}
