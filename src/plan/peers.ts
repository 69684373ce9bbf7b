import type { Address, Family } from '../addr/address.ts';
import type { Plan } from '../addr/plan.ts';
import type { Namespace } from '../objects/namespace.ts';
import { EVERYTHING, formatSelector, matches } from '../objects/selector.ts';
import type { LabelSelector } from '../objects/selector.ts';
import { matchesPeers } from '../policy/match.ts';
import type { Peer, PodSelection, Protocol } from '../policy/model.ts';
import { partyOfPod, podMatches } from './known-pods.ts';
import type { KnownAddress, KnownPods } from './known-pods.ts';
import { sameItems } from './same.ts';
import { selectsNamespace } from './selects-namespace.ts';
import type { Snapshot } from './snapshot.ts';
import { peerValue } from './tenancy.ts';
import type { Tenancy } from './tenancy.ts';

/** Pods that the agent has to watch beyond its own: of one namespace ('' = all), by a selector ('' = all). */
export interface PeerWatch {
  readonly namespace: string;
  readonly selector: string;
}

/** How the pods of one selection are recognised in one family. */
export interface FamilyPeers {
  /** What the tenant's mask leaves of their addresses, whole namespaces. */
  readonly tenants: readonly Address[];
  /** What the segment's mask leaves of their addresses. */
  readonly segments: readonly Address[];
  /** Those that no mask above finds. */
  readonly exact: readonly Address[];
}

/** A selection made ready for lookups. */
export interface CompiledPeers {
  readonly byFamily: ReadonlyMap<Family, FamilyPeers>;
  /** Its canonical text, when many may have to be named one by one: they stand in a set of their own. */
  readonly shared: string | undefined;
  readonly watches: readonly PeerWatch[];
}

/** Begins the names of the sets of peers that stand in sets of their own. */
export const PEERS_PREFIX = 'peers';

type PodPeer = Extract<Peer, { kind: 'pods' }>;

/** Whom to find: the parties that peers mean for certain, or also those that they only may mean. */
export type Wanted = 'certain' | 'possible';

/** All pods, as a peer. */
export const EVERY_POD: PodPeer = {
  kind: 'pods',
  selection: { namespaces: { kind: 'selector', selector: EVERYTHING }, pods: EVERYTHING },
};

const NOBODY: readonly KnownAddress[] = [];

interface Masks {
  readonly tenants: Address[];
  readonly segments: Address[];
}

/** What a selection came to, and what it was worked out of. */
interface Remembered {
  readonly key: string;
  readonly world: PeerWorld;
  readonly namespaces: readonly string[];
  /** By namespace, all that are known there: while these are the same, so are the candidates. */
  readonly everybody: readonly (readonly KnownAddress[])[];
  /** By namespace. */
  readonly candidates: readonly (readonly KnownAddress[])[];
  readonly compiled: CompiledPeers;
}

/** What tells whom selections mean, beside the pods; another object when any of it differs. */
export interface PeerWorld {
  readonly plans: readonly Plan[];
  readonly segmentLabel: string;
  readonly tenancy: Tenancy;
  readonly namespaces: readonly Namespace[];
  /** Of the pods that are known. */
  readonly inUse: readonly string[];
}

/** Hears what was asked of a compiler: a selection, or more, which depends on all that is known. */
export interface PeerNotes {
  use(selection: PodSelection, compiled: CompiledPeers): void;
  useMore(): void;
}

/** What selections came to before: those that mean the same still do. */
export type PeerMemory = WeakMap<PodSelection, Remembered>;

/** Turns selections of pods into masks and addresses. */
export class PeerCompiler {
  readonly #snapshot: Snapshot;
  readonly #world: PeerWorld;
  readonly #tenancy: Tenancy;
  readonly #known: KnownPods;
  readonly #memory: PeerMemory;
  /** By text: policies that name the same peers do it by objects of their own. */
  readonly #compiled = new Map<string, Remembered>();
  readonly #noted: PeerNotes | undefined;
  #ofPool: readonly PeerWatch[] | undefined;

  constructor(snapshot: Snapshot, world: PeerWorld, known: KnownPods, memory: PeerMemory, noted?: PeerNotes) {
    this.#noted = noted;
    this.#snapshot = snapshot;
    this.#world = world;
    this.#tenancy = world.tenancy;
    this.#known = known;
    this.#memory = memory;
  }

  /** The pods of `selection`; the same object as before if nothing about them differs. */
  compile(selection: PodSelection): CompiledPeers {
    const { compiled } = this.#recall(selection);
    this.#noted?.use(selection, compiled);
    return compiled;
  }

  #recall(selection: PodSelection): Remembered {
    const before = this.#memory.get(selection);
    if (before !== undefined && this.#holds(before, selection)) return before;
    const key = before?.key ?? selectionText(selection);
    let now = this.#compiled.get(key) ?? this.#compileNew(selection, key);
    if (before !== undefined && sameCompiled(before.compiled, now.compiled))
      now = { ...now, compiled: before.compiled };
    this.#compiled.set(key, now);
    this.#memory.set(selection, now);
    return now;
  }

  #holds({ world, namespaces, everybody, candidates }: Remembered, selection: PodSelection): boolean {
    return (
      world === this.#world &&
      namespaces.every(
        (namespace, index) =>
          this.#everybody(namespace) === everybody[index] ||
          this.#candidates(namespace, selection.pods) === candidates[index],
      )
    );
  }

  #everybody(namespace: string): readonly KnownAddress[] {
    return this.#known.byNamespace.get(namespace) ?? NOBODY;
  }

  /** All addresses of the Nodes with these labels. */
  nodeAddresses(selector: LabelSelector): readonly Address[] {
    this.#noted?.useMore();
    const hosts = [...this.#snapshot.hosts.values()].filter(({ labels }) => matches(selector, labels));
    return hosts.flatMap(({ addresses }) => addresses);
  }

  /**
   * Where pods of `peers` have a container port of this name: `address . protocol . port`, and what to watch.
   *
   * @param wanted `possible`: pods too of which it is not known whether they are meant.
   */
  namedPorts(
    peers: readonly Peer[] | 'any',
    port: { readonly name: string; readonly protocol: Protocol },
    wanted: Wanted = 'certain',
  ): { readonly elements: ReadonlyMap<Family, readonly string[]>; readonly watches: readonly PeerWatch[] } {
    this.#noted?.useMore();
    const { network, namespaces } = this.#snapshot;
    const world = { segmentLabel: network.segmentLabel, namespaces };
    const elements = new Map<Family, string[]>();
    for (const { pod, address, family } of this.#known.byAddress.values()) {
      const numbers = pod.ports.filter((p) => p.name === port.name && p.protocol === port.protocol);
      if (numbers.length === 0) continue;
      const { answer } = matchesPeers(world, peers, partyOfPod(pod, address));
      if (answer === 'no' || (answer === 'unknown' && wanted === 'certain')) continue;
      const list = elements.get(family) ?? [];
      for (const p of numbers) list.push(`${address} . ${p.protocol.toLowerCase()} . ${p.port}`);
      elements.set(family, list);
    }
    const watches = (peers === 'any' ? [EVERY_POD] : peers).flatMap((peer): readonly PeerWatch[] => {
      if (peer.kind === 'nodes') return [];
      if (peer.kind === 'cidrs') return [{ namespace: '', selector: '' }];
      return wanted === 'certain' ? watchesOf(peer.selection, peer.selection.pods) : this.#watchesOfAll(peer.selection);
    });
    return { elements, watches };
  }

  /** What has to be watched so that it is known who is meant by `peers`, or also who is not. */
  watches(peers: readonly PodPeer[], wanted: Wanted): readonly PeerWatch[] {
    this.#noted?.useMore();
    const certain = peers.flatMap(({ selection }) => this.compile(selection).watches);
    if (wanted === 'certain') return certain;
    const all = peers.filter((peer) => !this.isByBits(peer)).flatMap((peer) => this.#watchesOfAll(peer.selection));
    return [...certain, ...all, ...this.#watchesOfPool()];
  }

  /** Whether the bits of addresses in use tell who is meant. */
  isByBits({ selection }: PodPeer): boolean {
    return maskable(selection.pods, this.#snapshot.network.segmentLabel);
  }

  /** All pods that the namespaces of a selection hold. */
  #watchesOfAll({ namespaces }: PodSelection): readonly PeerWatch[] {
    const names = namespaces.kind === 'names' ? namespaces.names : this.#namespacesOf(namespaces);
    return names.map((namespace) => ({ namespace, selector: '' }));
  }

  /** All pods that are in the shared pool by their ids, where one can't tell them from each other by bits. */
  #watchesOfPool(): readonly PeerWatch[] {
    this.#ofPool ??= this.#snapshot.network.plans.flatMap((plan) =>
      [...this.#snapshot.tenants.keys()].flatMap((namespace) =>
        this.#addMasks(plan, namespace, EVERYTHING, { tenants: [], segments: [] }),
      ),
    );
    return this.#ofPool;
  }

  #compileNew(selection: PodSelection, key: string): Remembered {
    const namespaces = this.#namespacesOf(selection.namespaces);
    const byMask = maskable(selection.pods, this.#snapshot.network.segmentLabel);
    const watches: PeerWatch[] = [];
    if (!byMask) watches.push(...watchesOf(selection, selection.pods));
    const candidates = namespaces.map((namespace) => this.#candidates(namespace, selection.pods));
    const everybody = namespaces.map((namespace) => this.#everybody(namespace));
    const label = this.#snapshot.network.segmentLabel;
    const pods = candidates.flatMap((list) => list.filter(({ pod }) => podMatches(pod, selection.pods, label)));
    const byFamily = new Map<Family, FamilyPeers>();
    for (const plan of this.#snapshot.network.plans) {
      const masks: Masks = { tenants: [], segments: [] };
      for (const namespace of byMask ? namespaces : []) {
        watches.push(...this.#addMasks(plan, namespace, selection.pods, masks));
      }
      const exact = pods.filter(({ family }) => family === plan.family).map(({ address }) => address);
      byFamily.set(plan.family, { ...masks, exact });
    }
    const compiled = { byFamily, shared: watches.length > 0 ? key : undefined, watches };
    return { key, world: this.#world, namespaces, everybody, candidates, compiled };
  }

  /** All that may have to be named one by one; the same list as before if they are the same. */
  #candidates(namespace: string, selector: LabelSelector): readonly KnownAddress[] {
    if (maskable(selector, this.#snapshot.network.segmentLabel)) return this.#known.irregular.get(namespace) ?? NOBODY;
    const exactly = selector.requirements.find(({ operator, values }) => operator === 'In' && values.length === 1);
    if (exactly !== undefined) return this.#known.having(namespace, exactly.key, exactly.values[0] ?? '');
    return this.#known.byNamespace.get(namespace) ?? NOBODY;
  }

  /** Adds the masks of one namespace, and says what has to be watched where there are no bits. */
  #addMasks(plan: Plan, namespace: string, selector: LabelSelector, masks: Masks): PeerWatch[] {
    const label = this.#snapshot.network.segmentLabel;
    const slot = this.#tenancy.tenantSlot(plan, namespace);
    if (slot.kind === 'pool') return [{ namespace, selector: formatSelector(selector) }];
    if (slot.kind === 'unknown') return [];
    if (selector.requirements.length === 0) masks.tenants.push(peerValue(plan, 'tenant', slot));
    const pooled: string[] = [];
    for (const segment of this.#tenancy.segmentsOf(namespace)) {
      if (!matches(selector, new Map(segment === null ? [] : [[label, segment]]))) continue;
      const at = this.#tenancy.segmentSlot(plan, namespace, segment);
      if (at.kind === 'pool' && segment !== null) pooled.push(segment);
      if (at.kind === 'bits' && selector.requirements.length > 0) masks.segments.push(peerValue(plan, 'segment', at));
    }
    if (pooled.length === 0) return [];
    const requirement = { key: label, operator: 'In', values: pooled } as const;
    return [{ namespace, selector: formatSelector({ requirements: [requirement] }) }];
  }

  #namespacesOf(namespaces: PodSelection['namespaces']): readonly string[] {
    if (namespaces.kind === 'names') return [...new Set(namespaces.names)];
    const all = new Set([...this.#snapshot.namespaces.keys(), ...this.#snapshot.tenants.keys(), ...this.#world.inUse]);
    return [...all].filter((name) => selectsNamespace(this.#snapshot, namespaces, name) === 'yes');
  }
}

/** Whether all that differs are addresses of peers that stand in sets of their own: whatever looks these up is the same. */
export function sameButAddresses(a: CompiledPeers, b: CompiledPeers): boolean {
  if (a.shared === undefined || a.shared !== b.shared || a.byFamily.size !== b.byFamily.size) return false;
  if (!sameItems(a.watches.map(watchKey), b.watches.map(watchKey))) return false;
  return [...a.byFamily].every(([family, { tenants, segments }]) => {
    const other = b.byFamily.get(family);
    return other !== undefined && sameItems(tenants, other.tenants) && sameItems(segments, other.segments);
  });
}

function sameCompiled(a: CompiledPeers, b: CompiledPeers): boolean {
  if (a.shared !== b.shared || a.byFamily.size !== b.byFamily.size) return false;
  if (!sameItems(a.watches.map(watchKey), b.watches.map(watchKey))) return false;
  return [...a.byFamily].every(([family, one]) => {
    const other = b.byFamily.get(family);
    return (
      other !== undefined &&
      sameItems(one.tenants, other.tenants) &&
      sameItems(one.segments, other.segments) &&
      sameItems(one.exact, other.exact)
    );
  });
}

function watchKey({ namespace, selector }: PeerWatch): string {
  return `${namespace} ${selector}`;
}

/** The fewest watches that show all of it; above `limit` of them one watch on all pods. */
export function mergeWatches(watches: Iterable<PeerWatch>, limit: number): readonly PeerWatch[] {
  const byKey = new Map<string, PeerWatch>();
  for (const watch of watches) byKey.set(watchKey(watch), watch);
  const needed = [...byKey.values()].filter(
    ({ namespace, selector }) =>
      !(namespace !== '' && byKey.has(` ${selector}`)) &&
      !(selector !== '' && (byKey.has(`${namespace} `) || byKey.has(' '))) &&
      !(namespace !== '' && byKey.has(' ')),
  );
  if (needed.length > limit) return [{ namespace: '', selector: '' }];
  return needed.sort((a, b) => (watchKey(a) < watchKey(b) ? -1 : 1));
}

/** Whether the bits of an address tell whether its pod is selected: nothing is asked beside the segment. */
function maskable(selector: LabelSelector, segmentLabel: string): boolean {
  return selector.requirements.every(({ key }) => key === segmentLabel);
}

/** Without namespace labels on pods, a namespace selector can only be watched in all namespaces. */
function watchesOf({ namespaces }: PodSelection, pods: LabelSelector): PeerWatch[] {
  const selector = formatSelector(pods);
  if (namespaces.kind === 'selector') return [{ namespace: '', selector }];
  return [...new Set(namespaces.names)].map((namespace) => ({ namespace, selector }));
}

/** Equal for selections that say the same. */
export function selectionText({ namespaces, pods }: PodSelection): string {
  const where =
    namespaces.kind === 'names'
      ? [...new Set(namespaces.names)].sort().join()
      : `{${formatSelector(namespaces.selector)}}`;
  return `${where}/{${formatSelector(pods)}}`;
}
