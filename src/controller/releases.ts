import type { IdClaim } from '../objects/id-claim.ts';
import { hostRelease, restoreMark, tenantRelease } from '../objects/release.ts';
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
  const all = [...(mark === undefined ? [] : [mark]), ...claims.map((claim) => releaseOf(claim).name), ...segments];
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
 * The next step of every tenant id whose Tenant object is gone, and of the host ids of machines that are gone, where
 * other Nodes wait for one: the claim is marked as released, which is announced in the Network's status; it is deleted,
 * and the id goes to a new owner, only when nobody means the old one any more.
 *
 * @param waiting how many Nodes find no host id.
 */
export function advanceReleases(state: ClusterState, waiting: number): readonly Action[] {
  const actions: Action[] = unneededHostIds(state, waiting).map((claim) => ({ kind: 'release-claim', claim }));
  const cautious = state.network !== undefined && unconfirmedRestore(state.network) !== undefined;
  for (const claim of state.claims.values()) {
    if (!claim.released) {
      if (isOrphan(claim, state)) actions.push({ kind: 'release-claim', claim });
      continue;
    }
    if (claim.kind === 'Host' && state.nodes.has(claim.holder.name)) {
      actions.push({ kind: 'keep-claim', claim });
      continue;
    }
    const release = releaseOf(claim);
    if (!cautious && isOver(release, state)) actions.push({ kind: 'delete-claim', meta: claim.meta, frees: release });
  }
  return actions;
}

function releaseOf(claim: IdClaim): Release {
  return claim.kind === 'Host'
    ? { name: hostRelease(claim), host: claim.id }
    : { name: tenantRelease(claim.holder), tenant: claim.id };
}

/**
 * The host ids to take away, the lowest first, as many as Nodes wait for: of machines of which nothing is left, not
 * even the report of their agent, which goes an hour after its last word (orphan-reports.ts).
 */
function unneededHostIds(state: ClusterState, waiting: number): readonly IdClaim[] {
  const hosts = [...state.claims.values()].filter(({ kind }) => kind === 'Host').toSorted((a, b) => a.id - b.id);
  const underWay = hosts.filter(({ released }) => released).length;
  return hosts
    .filter(({ released, holder: { name } }) => {
      const known = [state.nodes, state.hosts, state.reports].some((objects) => objects.has(name));
      return !released && !known && !state.unreadable.has(name);
    })
    .slice(0, Math.max(0, waiting - underWay));
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
    if (release.host !== undefined && report.hostId === release.host) return false;
    const uses = report.leases.some(
      ({ tenant, segment }) => tenant === release.tenant && segment === (release.segment ?? segment),
    );
    if (uses) return false;
  }
  return true;
}
