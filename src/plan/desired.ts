import type { Exception } from '../objects/host.ts';
import type { Ruleset } from '../nft/ruleset.ts';
import type { Policy } from '../policy/model.ts';
import { addForward } from './forward.ts';
import { hostRanges } from './host-ranges.ts';
import { addHostSets } from './host-sets.ts';
import { knownPods } from './known-pods.ts';
import { addMasquerade } from './masquerade.ts';
import { ownExceptions } from './own-exceptions.ts';
import { mergeWatches } from './peers.ts';
import type { PeerWatch } from './peers.ts';
import { poolWarnings } from './pool-warnings.ts';
import { desiredRoutes } from './routes.ts';
import type { DesiredRoute } from './routes.ts';
import { RulesetBuilder } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';
import { addSpoofCheck } from './spoof.ts';
import { Tenancy } from './tenancy.ts';
import type { Warning } from './warning.ts';

/** Watches on single selections, each a connection to the API server; more become one watch on all pods. */
export const MAX_PEER_WATCHES = 64;

/** How one host should stand: the whole of it, for others to make it so. */
export interface Desired {
  readonly routes: readonly DesiredRoute[];
  readonly ruleset: Ruleset;
  /** What the agent has to watch so that the next snapshot knows all peers. */
  readonly peerWatches: readonly PeerWatch[];
  /** Of this host, for its Host's status. */
  readonly exceptions: readonly Exception[];
  readonly warnings: readonly Warning[];
  /** Policies that select pods of this host and of which something fails closed, by name. */
  readonly unenforced: readonly Policy[];
}

/** What follows from a snapshot for its host. Equal snapshots give equal plans; nothing is remembered in between. */
export function plan(snapshot: Snapshot): Desired {
  const tenancy = new Tenancy(snapshot.tenants);
  const known = knownPods(snapshot, tenancy);
  const { ranges, warnings } = hostRanges(snapshot);
  const routes = desiredRoutes(snapshot, ranges);
  const builder = new RulesetBuilder();
  addHostSets(builder, { snapshot, ranges, known });
  addSpoofCheck(builder, snapshot, ranges.own);
  const { watches, unenforced } = addForward(builder, { snapshot, tenancy, known });
  addMasquerade(builder, snapshot, ranges.own);
  return {
    routes: routes.routes,
    ruleset: builder.ruleset(),
    peerWatches: mergeWatches(watches, MAX_PEER_WATCHES),
    exceptions: ownExceptions(snapshot, tenancy, known),
    warnings: [...warnings, ...routes.warnings, ...poolWarnings(snapshot, tenancy)],
    unenforced,
  };
}
