import type { IdClaim } from '../objects/id-claim.ts';
import { restoreMark, tenantRelease } from '../objects/release.ts';
import type { ObservedNetwork } from './network-status.ts';
import type { Action, Agents, ClusterState, Release } from './state.ts';

/** How many releases are announced at once: all agents read the announcement. */
export const MAX_ANNOUNCED_RELEASES = 256;

/**
 * What agents are asked to acknowledge: Tenants that are gone for good while their ids are claimed, those with the
 * lowest ids first, since these are the ones that fit every family; and segments that have lost their ids.
 */
export function pendingReleases(network: ObservedNetwork, state: ClusterState): readonly string[] {
  const mark = unconfirmedRestore(network);
  const claims = [...state.claims.values()].filter(({ released }) => released).toSorted((a, b) => a.id - b.id);
  const segments = [...state.tenants.values()].flatMap(({ released }) => released.map(({ release }) => release));
  const all = [
    ...(mark === undefined ? [] : [mark]),
    ...claims.map(({ holder }) => tenantRelease(holder)),
    ...segments,
  ];
  return all.slice(0, MAX_ANNOUNCED_RELEASES);
}

/**
 * The mark of a restored backup that some agent may not have acknowledged. Until all have, ids that nobody has claimed
 * may be in use all the same, given in the time that was lost; so none is given.
 */
export function unconfirmedRestore({ meta, restored }: ObservedNetwork): string | undefined {
  const mark = restoreMark(meta);
  return mark === restored ? undefined : mark;
}

/** The last mark that all agents have acknowledged, '' for none. */
export function confirmedRestore(network: ObservedNetwork, agents: Agents): string {
  const mark = unconfirmedRestore(network);
  return mark !== undefined && isOver({ name: mark }, agents) ? mark : network.restored;
}

/**
 * The next step of every tenant id whose Tenant object is gone: the claim is marked as released, which is announced in
 * the Network's status; it is deleted, and the id goes to a new owner, only when nobody means the old one any more.
 * Host ids are never released.
 */
export function advanceReleases(state: ClusterState): readonly Action[] {
  const actions: Action[] = [];
  const cautious = state.network !== undefined && unconfirmedRestore(state.network) !== undefined;
  for (const claim of state.claims.values()) {
    if (!claim.released) {
      if (isOrphan(claim, state)) actions.push({ kind: 'release-claim', claim });
      continue;
    }
    const release = { name: tenantRelease(claim.holder), tenant: claim.id };
    if (!cautious && isOver(release, state)) actions.push({ kind: 'delete-claim', meta: claim.meta, frees: release });
  }
  return actions;
}

function isOrphan(claim: IdClaim, state: ClusterState): boolean {
  if (claim.kind !== 'Tenant' || state.unreadable.has(claim.holder.name)) return false;
  return state.tenants.get(claim.holder.name)?.meta.uid !== claim.holder.uid;
}

/**
 * Whether nobody means the old owner any more: every agent that exists has acknowledged the release, and none reports
 * a lease that uses the id.
 */
export function isOver(release: Release, { hosts, reports, agentsReadable }: Agents): boolean {
  if (!agentsReadable) return false;
  // A report without a Host is of an agent that may still run: its Node was deleted by hand, or is just joining.
  const agents = new Set([...hosts.keys(), ...reports.keys()]);
  for (const name of agents) {
    const report = reports.get(name);
    if (report === undefined || !report.acknowledged.includes(release.name)) return false;
    const uses = report.leases.some(
      ({ tenant, segment }) => tenant === release.tenant && segment === (release.segment ?? segment),
    );
    if (uses) return false;
  }
  return true;
}
