import type { Exception } from '../objects/host.ts';
import type { Tenant } from '../objects/tenant.ts';
import type { Ruleset } from '../nft/ruleset.ts';
import type { Policy } from '../policy/model.ts';
import { addForward, addSelves } from './forward.ts';
import { hostRanges } from './host-ranges.ts';
import { addHostSets } from './host-sets.ts';
import { ChainMemory } from './chains.ts';
import { IdentityIndex } from './identity.ts';
import { KnownIndex } from './known-index.ts';
import type { KnownPods } from './known-pods.ts';
import { addMasquerade } from './masquerade.ts';
import { ownExceptions } from './own-exceptions.ts';
import { mergeWatches } from './peers.ts';
import type { PeerWatch, PeerWorld } from './peers.ts';
import { PartMemory } from './part-memory.ts';
import { poolWarnings } from './pool-warnings.ts';
import { desiredRoutes } from './routes.ts';
import type { DesiredRoute } from './routes.ts';
import { RulesetBuilder } from './ruleset-builder.ts';
import { sameItems } from './same.ts';
import type { Snapshot } from './snapshot.ts';
import { addSpoofCheck } from './spoof.ts';
import { Subjects } from './subjects.ts';
import { addTallies } from './tally.ts';
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

/** What follows from a snapshot for its host. Equal snapshots give equal plans. */
export function plan(snapshot: Snapshot): Desired {
  return new Planner().plan(snapshot);
}

/**
 * Plans one snapshot after the other and remembers what it worked out of objects that are the same in the next, so that
 * a plan costs what differs. The plans are those that `plan` makes.
 */
export class Planner {
  readonly #index = new KnownIndex();
  readonly #chains = new ChainMemory();
  readonly #parts = new PartMemory();
  #tenancy: { readonly tenants: readonly Tenant[]; readonly tenancy: Tenancy } | undefined;
  #world: PeerWorld | undefined;
  #subjects: Subjects | undefined;
  #exceptions: { readonly of: readonly unknown[]; readonly found: readonly Exception[] } | undefined;
  #watches: { readonly asked: ReadonlySet<PeerWatch>; readonly merged: readonly PeerWatch[] } | undefined;

  plan(snapshot: Snapshot): Desired {
    const { tenancy, known } = this.#know(snapshot);
    const world = this.#worldOf(snapshot, tenancy, known);
    const subjects = new Subjects(snapshot, this.#subjects);
    this.#subjects = subjects;
    const { ranges, warnings } = hostRanges(snapshot);
    const routes = desiredRoutes(snapshot, ranges);
    const builder = new RulesetBuilder();
    const { network, hosts, leases, uplinks, nflogGroup } = snapshot;
    const { plans } = network;
    this.#parts.declare(builder, 'hosts', [plans, known, ...hosts.values()], () =>
      addHostSets(builder, { snapshot, ranges, known }),
    );
    this.#parts.declare(builder, 'spoof', [plans, ...ranges.own, ...uplinks, ...leases], () =>
      addSpoofCheck(builder, snapshot, ranges.own),
    );
    this.#parts.declare(builder, 'pods', [nflogGroup, ...leases], () => {
      addSelves(builder, leases);
      addTallies(builder, snapshot);
    });
    const { unenforced } = addForward(builder, { snapshot, world, known, memory: this.#chains, subjects });
    this.#parts.declare(builder, 'masquerade', [network, ...ranges.own], () =>
      addMasquerade(builder, snapshot, ranges.own),
    );
    return {
      routes: routes.routes,
      ruleset: builder.ruleset(),
      peerWatches: this.#merge(builder.watches),
      exceptions: this.#exceptionsOf(snapshot, tenancy, known),
      warnings: [...warnings, ...routes.warnings, ...poolWarnings(snapshot, tenancy)],
      unenforced,
    };
  }

  /** Whose addresses are; good until the next plan. */
  identities(snapshot: Snapshot): IdentityIndex {
    return new IdentityIndex(snapshot, this.#know(snapshot));
  }

  #know(snapshot: Snapshot): { readonly tenancy: Tenancy; readonly known: KnownPods } {
    const tenants = [...snapshot.tenants.values()];
    if (this.#tenancy === undefined || !sameItems(this.#tenancy.tenants, tenants)) {
      this.#tenancy = { tenants, tenancy: new Tenancy(snapshot.tenants) };
    }
    const { tenancy } = this.#tenancy;
    return { tenancy, known: this.#index.of(snapshot, tenancy) };
  }

  #exceptionsOf(snapshot: Snapshot, tenancy: Tenancy, known: KnownPods): readonly Exception[] {
    const of = [snapshot.network, tenancy, known];
    if (this.#exceptions === undefined || !sameItems(this.#exceptions.of, of)) {
      this.#exceptions = { of, found: ownExceptions(snapshot, tenancy, known) };
    }
    return this.#exceptions.found;
  }

  #merge(asked: ReadonlySet<PeerWatch>): readonly PeerWatch[] {
    const before = this.#watches;
    // In any order, which is that in which chains were made.
    if (before?.asked.size === asked.size && before.asked.isSupersetOf(asked)) return before.merged;
    const merged = mergeWatches(asked, MAX_PEER_WATCHES);
    this.#watches = { asked, merged };
    return merged;
  }

  #worldOf({ network, namespaces }: Snapshot, tenancy: Tenancy, known: KnownPods): PeerWorld {
    const { plans, segmentLabel } = network;
    const now = {
      plans,
      segmentLabel,
      tenancy,
      namespaces: [...namespaces.values()],
      inUse: [...known.byNamespace.keys()],
    };
    const before = this.#world;
    const same =
      before?.plans === plans &&
      before.segmentLabel === segmentLabel &&
      before.tenancy === tenancy &&
      sameItems(before.namespaces, now.namespaces) &&
      sameItems(before.inUse, now.inUse);
    this.#world = same ? before : now;
    return this.#world;
  }
}
