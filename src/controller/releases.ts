import type { IdClaim } from '../objects/id-claim.ts';
import { tenantRelease } from '../objects/release.ts';
import type { Action, ClusterState } from './state.ts';

/** How many releases are announced at once: all agents read the announcement. */
export const MAX_ANNOUNCED_RELEASES = 256;

/**
 * What agents are asked to acknowledge: uids of Tenants that are gone for good while their ids are claimed, those with
 * the lowest ids first, since these are the ones that fit every family.
 */
export function pendingReleases(state: ClusterState): readonly string[] {
  return [...state.claims.values()]
    .filter((claim) => claim.released)
    .toSorted((a, b) => a.id - b.id)
    .slice(0, MAX_ANNOUNCED_RELEASES)
    .map(({ holder }) => tenantRelease(holder));
}

/**
 * The next step of every tenant id whose Tenant object is gone: the claim is marked as released, which is announced in
 * the Network's status; it is deleted, and the id goes to a new owner, only when no agent reports a lease that uses the
 * id and every agent that exists has acknowledged the release. Host ids are never released.
 */
export function advanceReleases(state: ClusterState): readonly Action[] {
  const actions: Action[] = [];
  for (const claim of state.claims.values()) {
    if (claim.released && isFree(claim, state)) actions.push({ kind: 'delete-claim', meta: claim.meta });
    else if (!claim.released && isOrphan(claim, state)) actions.push({ kind: 'release-claim', claim });
  }
  return actions;
}

function isOrphan(claim: IdClaim, state: ClusterState): boolean {
  if (claim.kind !== 'Tenant' || state.unreadable.has(claim.holder.name)) return false;
  return state.tenants.get(claim.holder.name)?.meta.uid !== claim.holder.uid;
}

function isFree(claim: IdClaim, state: ClusterState): boolean {
  if (!state.reportsReadable) return false;
  // A report without a Host is of an agent that may still run: its Node was deleted by hand, or is just joining.
  const agents = new Set([...state.hosts.keys(), ...state.reports.keys()]);
  for (const name of agents) {
    const report = state.reports.get(name);
    if (report === undefined || !report.acknowledged.includes(tenantRelease(claim.holder))) return false;
    if (report.leases.some(({ tenant }) => tenant === claim.id)) return false;
  }
  return true;
}
