import { matches } from '../objects/selector.ts';
import type { PeerConditions } from './peer-conditions.ts';
import { portConditions, portSet } from './ports.ts';
import type { Snapshot } from './snapshot.ts';
import type { TierMatcher } from './tier-chain.ts';

/**
 * Matches what pods send to their own host, of which everything is known: it is no pod, has no ports by name, and all of
 * its addresses, also those that its Node does not mention, are those of the Node.
 */
export function ownHostMatcher({ hosts, node }: Snapshot, conditions: PeerConditions): TierMatcher {
  const labels = hosts.get(node)?.labels ?? new Map<string, string>();
  return {
    conditions({ peers, ports }) {
      const destinations =
        peers === 'any' || peers.some((peer) => peer.kind === 'nodes' && matches(peer.selector, labels))
          ? ['']
          : conditions.cidrs(
              peers.flatMap((peer) => (peer.kind === 'cidrs' ? peer.blocks : [])),
              'daddr',
            );
      const services = portConditions(portSet(ports, () => []));
      return destinations.flatMap((address) => services.map((port) => `${address} ${port}`.trim()));
    },
  };
}
