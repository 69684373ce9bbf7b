import type { Address } from '../addr/address.ts';
import type { IdentityIndex } from '../plan/identity.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import type { Bench } from './revocation.ts';

/**
 * The bench of a snapshot.
 *
 * @param identities those of the snapshot.
 * @param own all addresses of the host, also those that its Node does not mention.
 */
export function benchOf(snapshot: Snapshot, identities: IdentityIndex, own: ReadonlySet<Address>): Bench {
  const local = new Set<Address>(snapshot.leases.flatMap(({ addresses }) => addresses));
  const { node: name, hosts, namespaces, policies } = snapshot;
  const labels = hosts.get(name)?.labels ?? new Map<string, string>();
  return {
    world: { segmentLabel: snapshot.network.segmentLabel, namespaces, policies },
    partyOf: (address) =>
      own.has(address) ? { kind: 'host', name, labels, addresses: [address] } : identities.partyOf(address),
    isLocal: (address) => local.has(address),
  };
}
