import { countFreeIds } from '../addr/ids.ts';
import { formatPlan } from '../addr/plan.ts';
import type { Host } from '../objects/host.ts';
import { asksForOther, inForce, type Network, plansText } from '../objects/network.ts';
import { assignHosts, hostsWithoutNode } from './assign-hosts.ts';
import { assignTenants } from './assign-tenants.ts';
import { nodeConditions } from './node-network.ts';
import { advanceReleases, confirmedRestore, pendingReleases } from './releases.ts';
import { formatIdRange, heldByHosts, hostIds, reservedHostIds } from '../objects/id-space.ts';
import { networkStatusText, type NetworkStatus, type ObservedNetwork } from './network-status.ts';
import type { Action, Assignment, ClusterState, Warning } from './state.ts';

/**
 * What has to be written so that every Node has its Host and every namespace with pods its Tenant. Pure. Applied
 * and observed again and again it comes to rest; each round takes the next step of everything, and no step relies on
 * an unconfirmed one: a claim is created in one round and used in a later one that has seen it (docs/adr/0002-ids.md).
 */
export function assign(state: ClusterState): Assignment {
  const { actions, warnings } = assignIds(state);
  return { actions: [...actions, ...nodeConditions(state)], warnings };
}

function assignIds(state: ClusterState): Assignment {
  const { network: observed } = state;
  if (observed === undefined) return { actions: [], warnings: [] };
  const status = networkStatus(observed, state);
  const stale = networkStatusText(status) !== observed.statusText;
  const frees = status.restored === observed.restored ? [] : [{ name: status.restored }];
  const report: Action[] = stale ? [{ kind: 'set-network-status', network: observed, status, frees }] : [];
  const { network } = observed;
  const { reason } = status.accepted;
  if (network === undefined || reason === 'Invalid' || reason === 'NoHostIds') {
    // Nothing is given under a plan that can't be; what frees the cluster for another plan still happens.
    return { actions: [...report, ...hostsWithoutNode(state)], warnings: [refused(observed, status)] };
  }
  const tenants = assignTenants(inForce(network), state);
  const ids = (waiting: number): readonly Action[] => [
    ...tenants.actions,
    ...advanceReleases(state, waiting),
    ...report,
  ];
  if (reason === 'HeldByHosts') {
    // The agents stay with the plan that their Hosts hold, so no host joins under another one; but pods go on. An id
    // of tenant or segment that does not fit that plan only has them in the shared pool.
    return {
      actions: [...hostsWithoutNode(state), ...ids(0)],
      warnings: [...tenants.warnings, refused(observed, status)],
    };
  }
  const hosts = assignHosts(network, state);
  return {
    actions: [...hosts.actions, ...ids(hosts.warnings.length)],
    warnings: [...hosts.warnings, ...tenants.warnings],
  };
}

/** What the Network's status has to say. */
export function networkStatus(observed: ObservedNetwork, state: ClusterState): NetworkStatus {
  const { network, fault } = observed;
  const restored = confirmedRestore(observed, state);
  const releases = pendingReleases(observed, state);
  const hosts = [...state.hosts.values()].filter(
    ({ meta: { name } }) => state.nodes.has(name) || state.unreadable.has(name),
  );
  if (network === undefined) {
    const accepted = { status: 'False', reason: 'Invalid', message: fault } as const;
    const held = hosts.length === 0 ? undefined : observed.held;
    return { hostIdsLeft: 0, reservedHostIds: [], releases, restored, held, accepted };
  }
  const reserved = reservedHostIds(network);
  const range = hostIds(network);
  const hostIdsLeft = countFreeIds(range, { taken: takenHostIds(state), excluded: reserved });
  const usable = countFreeIds(range, { taken: new Set(), excluded: reserved });
  const refusal = hosts.length === 0 ? undefined : heldOther(network, hosts);
  const held = hosts.length === 0 ? undefined : (network.held ?? (refusal === undefined ? network : undefined));
  return {
    hostIdsLeft,
    reservedHostIds: reserved.map(formatIdRange),
    releases,
    restored,
    held,
    accepted: refusal ?? noHostIds(network, usable) ?? allRight(network),
  };
}

function takenHostIds(state: ClusterState): ReadonlySet<number> {
  const taken = new Set([...state.hosts.values()].map(({ id }) => id));
  for (const claim of state.claims.values()) if (claim.kind === 'Host') taken.add(claim.id);
  return taken;
}

/** Why the Network's spec is refused, when hosts hold something else. */
function heldOther(network: Network, hosts: readonly Host[]): NetworkStatus['accepted'] | undefined {
  const { held } = network;
  const changed =
    held === undefined || !asksForOther(network, held)
      ? undefined
      : `the address plan and the segment label cannot change while hosts hold them, ${plansText(held.plans)} by ` +
        `label ${held.segmentLabel}: pods have addresses by them; put them back, or remove all nodes first`;
  const message = heldByHosts(network, hosts) ?? changed;
  return message === undefined ? undefined : { status: 'False', reason: 'HeldByHosts', message };
}

function noHostIds(network: Network, usable: number): NetworkStatus['accepted'] | undefined {
  if (usable > 0) return undefined;
  const message = `reserved CIDRs (${network.reservedCIDRs.join(', ')}) overlap the ranges of all host ids`;
  return { status: 'False', reason: 'NoHostIds', message };
}

function allRight(network: Network): NetworkStatus['accepted'] {
  return { status: 'True', reason: 'Accepted', message: network.plans.map(formatPlan).join(', ') };
}

function refused(observed: ObservedNetwork, status: NetworkStatus): Warning {
  const { reason, message } = status.accepted;
  return { about: { kind: 'Network', name: observed.meta.name, uid: observed.meta.uid }, reason, message };
}
