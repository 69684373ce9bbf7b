import type { Attachment } from '../cni/request.ts';
import { NETWORK_NAME } from '../cni/conflist.ts';
import type { Lease } from '../plan/snapshot.ts';
import { hostInterfaceName } from './attachment-names.ts';

/**
 * How old an attachment is, in milliseconds, when the list that comes with GC must know it. The list is as old as the
 * runtime's work before the call, which takes stale attachments away one by one; for a new sandbox the kubelet gives it
 * 4 minutes.
 */
export const KNOWN_TO_RUNTIME_MS = 10 * 60_000;

/** What CNI GC says of a network. */
export interface ValidAttachments {
  readonly network: string;
  readonly valid: readonly Attachment[];
}

/**
 * The leases that GC is to free: of its network, not among its valid attachments, and whose ADD began so long before
 * `now` (milliseconds since the epoch) that the runtime knew of them when it made the list. A lease of an agent that
 * wrote no time is old, one of a time to come is young.
 */
export function invalidLeases(
  leases: readonly Lease[],
  { network, valid }: ValidAttachments,
  now: number,
): readonly Lease[] {
  const names = new Set(valid.map(hostInterfaceName));
  return leases.filter(({ hostInterface, origin }) => {
    if ((origin?.network ?? NETWORK_NAME) !== network || names.has(hostInterface)) return false;
    return origin === undefined || now - origin.since >= KNOWN_TO_RUNTIME_MS;
  });
}
