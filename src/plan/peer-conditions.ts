import { familyOf } from '../addr/address.ts';
import type { Address } from '../addr/address.ts';
import type { Plan } from '../addr/plan.ts';
import type { Labels } from '../objects/meta.ts';
import { formatSelector } from '../objects/selector.ts';
import type { LabelSelector } from '../objects/selector.ts';
import { matchesPeers, type Labelled } from '../policy/match.ts';
import type { CidrBlock, Peer, Protocol, Rule } from '../policy/model.ts';
import type { PodParty, UnknownParty } from '../policy/party.ts';
import { cidrNodes, prefixMask } from './cidr-nodes.ts';
import { hostPrefix } from './host-ranges.ts';
import { partyOfPod, type KnownPods } from './known-pods.ts';
import { EVERY_POD, selectionText } from './peers.ts';
import type { PeerCompiler, Wanted } from './peers.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { setLookup } from './set-lookups.ts';
import type { Snapshot } from './snapshot.ts';
import { peerMask, peerValue } from './tenancy.ts';
import type { Tenancy } from './tenancy.ts';

/** The side of a packet that the other end is on. */
export type Side = 'saddr' | 'daddr';

type PodPeer = Extract<Peer, { kind: 'pods' }>;

/** Pods by the bits of their addresses in one family, and those whose bits do not say it. */
interface Found {
  /** Whole tenants. */
  readonly tenants: Address[];
  readonly segments: Address[];
  /** Tenants of which all segments are found that nobody is known to have. */
  readonly partly: Address[];
  readonly exact: Address[];
  /** Those that the bits find and that are not meant. */
  readonly not: Address[];
  /** Whether pods are told apart one by one: then the rules that do it are there before the first such pod is. */
  readonly single: boolean;
}

/** What conditions are made of. */
export interface ConditionInput {
  readonly builder: RulesetBuilder;
  readonly snapshot: Snapshot;
  readonly tenancy: Tenancy;
  readonly known: KnownPods;
  readonly peers: PeerCompiler;
}

/**
 * Conditions of nft(8) for the peers of single rules, for policies whose rules are asked one after the other. The oracle
 * itself says whom a rule means: it is asked for each tenant and segment, for what has the bits of none, and for each pod
 * that is known by itself. Sets are shared by all rules that name the same peers.
 */
export class PeerConditions {
  readonly #input: ConditionInput;
  readonly #plans: readonly Plan[];
  readonly #world: Labelled;

  constructor(input: ConditionInput) {
    this.#input = input;
    const { network, namespaces } = input.snapshot;
    this.#plans = network.plans;
    this.#world = { segmentLabel: network.segmentLabel, namespaces };
  }

  /** One of them is true of a packet exactly if its other end is meant; '' is true of all, none of nobody. */
  of(peers: Rule['peers'], side: Side, wanted: Wanted): readonly string[] {
    if (peers === 'any') return [''];
    const { pods, selectors, blocks } = byKind(peers);
    return [...this.#pods(pods, side, wanted), ...this.#nodes(selectors, side), ...this.cidrs(blocks, side)];
  }

  /** The same for destinations that have a port of this name, which is the one that the packet goes to. */
  withNamedPort(
    peers: Rule['peers'],
    port: { readonly name: string; readonly protocol: Protocol },
    wanted: Wanted,
  ): readonly string[] {
    const known = this.#named(peers, port, wanted);
    if (wanted === 'certain') return known;
    // Of whom not everything is known, any port may have that name. Hosts and what is outside have none.
    const { pods, blocks } = peers === 'any' ? { pods: [EVERY_POD], blocks: [] } : byKind(peers);
    const unknown = this.#plans.flatMap((plan) => {
      const somebody = blocks.length === 0 ? [] : this.#podsOf(plan, [EVERY_POD], 'daddr', wanted, 'unknown');
      return [
        ...this.#podsOf(plan, pods, 'daddr', wanted, 'unknown'),
        ...this.#cidrsOf(plan, blocks, 'daddr').flatMap((block) => somebody.map((each) => `${block} ${each}`)),
      ];
    });
    const protocol = port.protocol.toLowerCase();
    return [...known, ...unknown.map((condition) => `meta l4proto ${protocol} ${condition}`)];
  }

  /** What is in one of `blocks`. */
  cidrs(blocks: readonly CidrBlock[], side: Side): readonly string[] {
    return this.#plans.flatMap((plan) => this.#cidrsOf(plan, blocks, side));
  }

  #cidrsOf({ family }: Plan, blocks: readonly CidrBlock[], side: Side): readonly string[] {
    const { builder } = this.#input;
    const rules = blocks.map((block) => ({ ...block, ports: 'any' as const }));
    const base = builder.name('cidrs', blocksText(blocks));
    const conditions: string[] = [];
    let longer = '';
    for (const [length, nodes] of cidrNodes(family, rules)) {
      const mask = prefixMask(family, length);
      const expression = `${WORDS[family].ip} ${side}${mask === undefined ? '' : ` & ${mask}`}`;
      const set = (what: string, bases: readonly Address[]): string => {
        const name = `${base}-${what}${length}-${family}`;
        return builder.shared(name, WORDS[family].type, () => bases);
      };
      const inside = nodes.filter(({ ports }) => ports === 'any').map((node) => node.base);
      const outside = nodes.filter(({ ports }) => ports !== 'any').map((node) => node.base);
      if (inside.length > 0) conditions.push(`${setLookup(expression, set('', inside))}${longer}`);
      // The longest prefix that an address begins with says it.
      if (outside.length > 0) longer += ` ${expression} != @${set('except', outside)}`;
    }
    return conditions;
  }

  #nodes(selectors: readonly LabelSelector[], side: Side): readonly string[] {
    const { builder, peers } = this.#input;
    return selectors.flatMap((selector) => {
      const text = formatSelector(selector);
      const addresses = peers.nodeAddresses(selector);
      return this.#plans.flatMap(({ family }) => {
        const own = addresses.filter((address) => familyOf(address) === family);
        if (own.length === 0) return [];
        const name = `${builder.name('nodes', text)}-${family}`;
        builder.shared(name, WORDS[family].type, () => own, { comment: `nodes {${text}}` });
        return [`${WORDS[family].ip} ${side} @${name}`];
      });
    });
  }

  #named(
    peers: Rule['peers'],
    port: { readonly name: string; readonly protocol: Protocol },
    wanted: Wanted,
  ): readonly string[] {
    const { builder } = this.#input;
    const { elements, watches } = this.#input.peers.namedPorts(peers, port, wanted);
    builder.watch(watches);
    const key = `${port.protocol}/${port.name} of ${peersText(peers)}${wanted === 'certain' ? '' : ' perhaps'}`;
    return this.#plans.flatMap(({ family }) => {
      const own = elements.get(family) ?? [];
      if (own.length === 0) return [];
      const { ip, type } = WORDS[family];
      const name = `${builder.name('named', key)}-${family}`;
      builder.shared(name, `${type} . inet_proto . inet_service`, () => own, { comment: key });
      return [`${ip} daddr . meta l4proto . th dport @${name}`];
    });
  }

  #pods(peers: readonly PodPeer[], side: Side, wanted: Wanted): readonly string[] {
    return this.#plans.flatMap((plan) => this.#podsOf(plan, peers, side, wanted, 'any'));
  }

  /** @param whose `unknown`: those alone of whose ports nothing is known. */
  #podsOf(
    plan: Plan,
    peers: readonly PodPeer[],
    side: Side,
    wanted: Wanted,
    whose: 'any' | 'unknown',
  ): readonly string[] {
    if (peers.length === 0) return [];
    const { builder, peers: compiler } = this.#input;
    builder.watch(compiler.watches(peers, wanted));
    const perhaps = wanted === 'certain' ? '' : ' perhaps';
    const key = `${peersText(peers)}${perhaps}${whose === 'any' ? '' : ', ports unknown'}`;
    const means = (party: PodParty | UnknownParty): boolean => {
      const { answer } = matchesPeers(this.#world, peers, party);
      return answer === 'yes' || (wanted === 'possible' && answer === 'unknown');
    };
    const single = whose === 'unknown' || peers.some((peer) => !compiler.isByBits(peer));
    return builder.part(`${plan.family} ${side} ${key}`, () =>
      this.#write(plan, side, key, this.#find(plan, means, whose, single), wanted),
    );
  }

  #find(
    plan: Plan,
    means: (party: PodParty | UnknownParty) => boolean,
    whose: 'any' | 'unknown',
    single: boolean,
  ): Found {
    const { snapshot, tenancy, known } = this.#input;
    const found: Found = { tenants: [], segments: [], partly: [], exact: [], not: [], single };
    /** By tenant and segment; whether the bits find them. */
    const bySlot = new Map<string, boolean>();
    for (const namespace of snapshot.tenants.keys()) {
      const tenant = tenancy.tenantSlot(plan, namespace);
      if (tenant.kind !== 'bits') continue;
      const others = means(someOf(namespace, 'namespace'));
      const meant = tenancy.segmentsOf(namespace).flatMap((segment) => {
        const slot = tenancy.segmentSlot(plan, namespace, segment);
        if (slot.kind !== 'bits') return [];
        const labels = new Map(segment === null ? [] : [[snapshot.network.segmentLabel, segment]]);
        const is = means(someOf(namespace, 'segment', labels));
        bySlot.set(`${namespace} ${segment ?? ''} ${segment === null}`, is);
        return [{ value: peerValue(plan, 'segment', slot), is }];
      });
      if (others && meant.every(({ is }) => is)) {
        found.tenants.push(peerValue(plan, 'tenant', tenant));
        continue;
      }
      found.segments.push(...meant.filter(({ is }) => is).map(({ value }) => value));
      if (others) found.partly.push(peerValue(plan, 'tenant', tenant));
    }
    for (const { pod, address, family, regular } of known.byAddress.values()) {
      if (family !== plan.family) continue;
      const is = (whose === 'any' || pod.known !== 'all') && means(partyOfPod(pod, address));
      const segment = pod.labels.get(snapshot.network.segmentLabel);
      const byBits = regular && bySlot.get(`${pod.namespace} ${segment ?? ''} ${segment === undefined}`) === true;
      if (is && !byBits) found.exact.push(address);
      if (!is && byBits) found.not.push(address);
    }
    for (const address of known.finished) {
      if (familyOf(address) === plan.family && means({ kind: 'unknown', address })) found.exact.push(address);
    }
    return found;
  }

  #write(plan: Plan, side: Side, key: string, found: Found, wanted: Wanted): readonly string[] {
    const { family } = plan;
    const { ip, type } = WORDS[family];
    const { builder } = this.#input;
    const base = builder.name('peers', key);
    const set = (what: string, elements: readonly Address[]): string => {
      const name = `${base}${what}-${family}`;
      return builder.shared(name, type, () => elements, { comment: key });
    };
    const address = `${ip} ${side}`;
    const inHosts = `${hostPrefix(plan, side)} == @hosts${family}`;
    const but =
      found.not.length === 0 && (!found.single || wanted === 'certain')
        ? ''
        : ` ${address} != @${set('-not', found.not)}`;
    const byBits = `${inHosts} ${address} != @exceptions${family}${but}`;
    const tenant = `${address} & ${peerMask(plan, 'tenant')}`;
    const segment = `${address} & ${peerMask(plan, 'segment')}`;
    const { exact, tenants, segments, partly } = found;
    return [
      ...(exact.length === 0 && !found.single ? [] : [`${address} @${set('', exact)}`]),
      ...(tenants.length === 0 ? [] : [`${byBits} ${tenant} == @${set('-tenants', tenants)}`]),
      ...(segments.length === 0 ? [] : [`${byBits} ${segment} == @${set('-segments', segments)}`]),
      ...(partly.length === 0
        ? []
        : [`${byBits} ${tenant} == @${set('-tenants-partly', partly)} ${segment} != @${this.#allSegments(plan)}`]),
      // Whoever it is, it may be one of them.
      ...(wanted === 'certain'
        ? []
        : [`${inHosts} ${tenant} != @${this.#allTenants(plan)} ${address} != @${this.#singles(plan)}`]),
    ];
  }

  #allTenants(plan: Plan): string {
    return this.#once(`tenants${plan.family}`, plan, 'tenants that have bits', () =>
      this.#slots(plan, 'tenant', (namespace) => [this.#input.tenancy.tenantSlot(plan, namespace)]),
    );
  }

  #allSegments(plan: Plan): string {
    const { tenancy } = this.#input;
    return this.#once(`segments${plan.family}`, plan, 'segments that have bits', () =>
      this.#slots(plan, 'segment', (namespace) =>
        tenancy.segmentsOf(namespace).map((segment) => tenancy.segmentSlot(plan, namespace, segment)),
      ),
    );
  }

  /** Whom other lookups know by address, be it in the shared pool or not. */
  #singles(plan: Plan): string {
    const { irregular, finished } = this.#input.known;
    return this.#once(`singles${plan.family}`, plan, 'pods that are known by address', () => [
      ...[...irregular.values()].flatMap((list) => list.filter((k) => k.family === plan.family).map((k) => k.address)),
      ...[...finished].filter((address) => familyOf(address) === plan.family),
    ]);
  }

  #slots(
    plan: Plan,
    kind: 'tenant' | 'segment',
    slotsOf: (namespace: string) => readonly ReturnType<Tenancy['tenantSlot']>[],
  ): Address[] {
    return [...this.#input.snapshot.tenants.keys()].flatMap((namespace) =>
      slotsOf(namespace).flatMap((slot) => (slot.kind === 'bits' ? [peerValue(plan, kind, slot)] : [])),
    );
  }

  #once(name: string, plan: Plan, comment: string, elements: () => readonly Address[]): string {
    const { builder } = this.#input;
    return builder.shared(name, WORDS[plan.family].type, elements, { comment });
  }
}

function byKind(peers: readonly Peer[]): {
  readonly pods: readonly PodPeer[];
  readonly selectors: readonly LabelSelector[];
  readonly blocks: readonly CidrBlock[];
} {
  return {
    pods: peers.filter((peer) => peer.kind === 'pods'),
    selectors: peers.flatMap((peer) => (peer.kind === 'nodes' ? [peer.selector] : [])),
    blocks: peers.flatMap((peer) => (peer.kind === 'cidrs' ? peer.blocks : [])),
  };
}

/** Equal for peers that say the same. */
function peersText(peers: Rule['peers']): string {
  if (peers === 'any') return 'any';
  const texts = peers.map((peer) => {
    if (peer.kind === 'pods') return selectionText(peer.selection);
    if (peer.kind === 'nodes') return `nodes {${formatSelector(peer.selector)}}`;
    return blocksText(peer.blocks);
  });
  return [...new Set(texts)].sort().join(', ');
}

function blocksText(blocks: readonly CidrBlock[]): string {
  return blocks.map(({ cidr, except }) => [cidr, ...except].join(' less ')).join(', ');
}

/** A pod of which only the bits are known. */
function someOf(namespace: string, known: 'segment' | 'namespace', labels: Labels = new Map()): PodParty {
  return { kind: 'pod', namespace, name: '', node: '', labels, known, addresses: [], ports: [] };
}
