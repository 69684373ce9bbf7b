import { lowestFreeId } from '../addr/ids.ts';
import type { Host } from '../objects/host.ts';
import type { Labels } from '../objects/meta.ts';
import type { Network } from '../objects/network.ts';
import type { Node } from '../objects/node.ts';
import { hostIds, rangesOf, reservedHostIds } from '../objects/id-space.ts';
import type { Action, Assignment, ClusterState, HostSpec, Warning } from './state.ts';

/**
 * One Host for each Node, with an id that the Node's name has claimed. A name keeps its claim until ids are scarce and
 * nothing is left of its machine, so a Node that comes back is the same host; the Host of a Node that is gone goes.
 */
export function assignHosts(network: Network, state: ClusterState): Assignment {
  const actions: Action[] = [];
  const warnings: Warning[] = [];
  const claims = new HostClaims(network, state);
  for (const node of nodesInOrder(state)) {
    if (state.unreadable.has(node.meta.name)) continue;
    const host = state.hosts.get(node.meta.name);
    const claimed = claims.idOf(node.meta.name, host);
    if (claimed === undefined) {
      const next = claims.give(node.meta.name, host);
      if (next === undefined) warnings.push(noIdLeft(network, node));
      else actions.push(next);
      continue;
    }
    const ranges = rangesOf(network, claimed);
    if (ranges === undefined) continue;
    actions.push(...bring(node, host, { id: claimed, ranges, addresses: node.addresses, labels: node.meta.labels }));
  }
  actions.push(...hostsWithoutNode(state));
  return { actions, warnings };
}

/** Hosts whose Node is gone: no agent is to route to them any more. */
export function hostsWithoutNode(state: ClusterState): readonly Action[] {
  return [...state.hosts.values()]
    .filter(({ meta }) => !state.nodes.has(meta.name) && !state.unreadable.has(meta.name))
    .map((host) => ({ kind: 'delete-host', host, because: 'no-node' }));
}

/** The oldest first, since ids are given in this order; equal ages by name, minion2 before minion10. */
function nodesInOrder(state: ClusterState): readonly Node[] {
  return [...state.nodes.values()].toSorted((a, b) => {
    const [older, younger] = [a.meta.creationTimestamp ?? '', b.meta.creationTimestamp ?? ''];
    if (older !== younger) return older < younger ? -1 : 1;
    return a.meta.name.localeCompare(b.meta.name, 'en', { numeric: true });
  });
}

/** Which host ids are whose, kept up to date with what is being given. */
class HostClaims {
  readonly #network: Network;
  readonly #taken = new Set<number>();
  /** Id -> the name that holds it. */
  readonly #holders = new Map<number, string>();
  /** Name -> its ids, the lowest first; there are two only where two leaders gave them at once. */
  readonly #ids = new Map<string, number[]>();
  /** Name -> the id that its agent acts with and nobody has claimed. */
  readonly #reported = new Map<string, number>();

  constructor(network: Network, state: ClusterState) {
    this.#network = network;
    for (const claim of state.claims.values()) {
      if (claim.kind !== 'Host') continue;
      this.#taken.add(claim.id);
      this.#holders.set(claim.id, claim.holder.name);
      if (claim.released) continue; // it may go to another before the Node could use it
      this.#ids.set(claim.holder.name, [...(this.#ids.get(claim.holder.name) ?? []), claim.id]);
    }
    for (const ids of this.#ids.values()) ids.sort((a, b) => a - b);
    // What an agent acts with and nobody has claimed was given before a backup was restored.
    for (const { meta, hostId } of state.reports.values()) {
      if (hostId === undefined || this.#taken.has(hostId)) continue;
      this.#taken.add(hostId);
      if (rangesOf(network, hostId) !== undefined) this.#reported.set(meta.name, hostId);
    }
    // A Host without a claim was restored or made by hand; its agent may be using the id.
    for (const host of state.hosts.values()) this.#taken.add(host.id);
    for (const name of state.unreadable) {
      const id = /^host-(\d+)$/.exec(name)?.[1];
      if (id !== undefined) this.#taken.add(Number(id));
    }
  }

  /** The id that `name` has claimed: the one its Host has, else the lowest. */
  idOf(name: string, host: Host | undefined): number | undefined {
    const ids = this.#ids.get(name);
    return host !== undefined && ids?.includes(host.id) === true ? host.id : ids?.[0];
  }

  /** The claim to make for `name`; undefined when no id is left. */
  give(name: string, host: Host | undefined): Action | undefined {
    const own = host !== undefined && !this.#holders.has(host.id) && rangesOf(this.#network, host.id) !== undefined;
    const unavailable = { taken: this.#taken, excluded: reservedHostIds(this.#network) };
    const id = own ? host.id : (this.#reported.get(name) ?? lowestFreeId(hostIds(this.#network), unavailable));
    if (id === undefined) return undefined;
    this.#taken.add(id);
    this.#holders.set(id, name);
    return { kind: 'create-claim', claim: { kind: 'Host', id, holder: { name, uid: '' } } };
  }
}

function bring(node: Node, host: Host | undefined, spec: HostSpec): readonly Action[] {
  if (host === undefined) return [{ kind: 'create-host', name: node.meta.name, spec }];
  // Another id than the claimed one is somebody else's, or will be: a Host never changes its id, it is made anew.
  if (host.id !== spec.id) return [{ kind: 'delete-host', host, because: 'unclaimed-id' }];
  if (sameSpec(host, spec)) return [];
  return [{ kind: 'update-host', meta: host.meta, spec, before: host }];
}

function sameSpec(a: HostSpec, b: HostSpec): boolean {
  return a.id === b.id && sameList(a.ranges, b.ranges) && sameList(a.addresses, b.addresses) && sameLabels(a, b);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function sameLabels(a: { labels: Labels }, b: { labels: Labels }): boolean {
  return a.labels.size === b.labels.size && [...a.labels].every(([key, value]) => b.labels.get(key) === value);
}

function noIdLeft(network: Network, node: Node): Warning {
  const { first, last } = hostIds(network);
  return {
    about: { kind: 'Node', name: node.meta.name, uid: node.meta.uid },
    reason: 'NoHostIds',
    message:
      `no host id is left for this node: ids ${first} to ${last} belong to other nodes, to nodes that are gone, ` +
      `or to reserved CIDRs; its pods get no network until one is free. A node that is gone keeps its id for an hour ` +
      `after its agent's last report; where its machine is gone for good, kubectl delete hostreport NAME ends that now`,
  };
}
