import { parseAddress } from '../addr/address.ts';
import type { IdentityIndex } from '../plan/identity.ts';
import type { Snapshot } from '../plan/snapshot.ts';

/** The label of namespaces whose pods are shown metrics of single pods, and its value. */
export const POD_METRICS_LABEL = 'romana.io/pod-metrics';
const READ = 'read';

/**
 * Whether who asks from `remote` (of a socket, perhaps an IPv4 address as IPv6 has it) is shown metrics that name pods:
 * everybody but pods, and of these those of namespaces with the label. Addresses of pods are checked at their source.
 */
export function maySeePods(remote: string, { namespaces }: Snapshot, identities: IdentityIndex): boolean {
  const address = parseAddress(remote.replace(/^::ffff:(?=\d+\.)/, ''));
  if (!address.ok) return false;
  const party = identities.partyOf(address.value);
  if (party.kind === 'host' || party.kind === 'outside') return true;
  if (party.kind !== 'pod') return false;
  return namespaces.get(party.namespace)?.meta.labels.get(POD_METRICS_LABEL) === READ;
}
