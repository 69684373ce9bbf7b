import type { Family } from '../addr/address.ts';
import { formatSelector, matches, type LabelSelector } from '../objects/selector.ts';
import type { EndpointClass, EndpointClasses } from './endpoint-classes.ts';
import type { CidrBlock, Peer, PodSelection } from './model.ts';
import type { World } from './world.ts';

/** Answers by class: NO, PERHAPS or YES. */
export type Answers = Uint8Array;
export const NO = 0;
/** As `unknown` of `evaluate`. */
export const PERHAPS = 1;
export const YES = 2;

/** The families in which a party has addresses, as bits: 1 for IPv4, 2 for IPv6. */
export type Families = number;

/** The families of a class. */
export function familiesOf({ regions }: EndpointClass): Families {
  return regions.reduce((bits, { family }) => bits | bitOf(family), 0);
}

function bitOf(family: Family): Families {
  return family === 4 ? 1 : 2;
}

/** Which classes selections and peers name, each asked for once. */
export class ClassAnswers {
  readonly #world: World;
  readonly #all: EndpointClasses;
  readonly #byNamespace = new Map<string, number[]>();
  readonly #selections = new Map<string, Answers>();
  readonly #bySelection = new Map<PodSelection, Answers>();
  readonly #peers = new Map<Peer, Map<Families, Answers>>();
  readonly #unions = new Map<readonly Peer[], Map<Families, Answers>>();
  readonly #everybody: Answers;

  constructor(world: World, all: EndpointClasses) {
    this.#world = world;
    this.#all = all;
    this.#everybody = new Uint8Array(all.classes.length).fill(YES);
    for (const [i, { party }] of all.classes.entries()) {
      if (party.kind !== 'pod') continue;
      const list = this.#byNamespace.get(party.namespace);
      if (list === undefined) this.#byNamespace.set(party.namespace, [i]);
      else list.push(i);
    }
  }

  /** The pods of `selection`. */
  selection(selection: PodSelection): Answers {
    const before = this.#bySelection.get(selection);
    if (before !== undefined) return before;
    const text = selectionText(selection);
    const answers = this.#selections.get(text) ?? this.#select(selection);
    this.#selections.set(text, answers);
    this.#bySelection.set(selection, answers);
    return answers;
  }

  /** Those that any of `peers` names, for a connection with somebody who has addresses of `families`. */
  peers(peers: readonly Peer[] | 'any', families: Families): Answers {
    if (peers === 'any') return this.#everybody;
    const [only] = peers;
    if (only !== undefined && peers.length === 1) return this.#peer(only, families);
    const known = this.#unions.get(peers) ?? new Map<Families, Answers>();
    this.#unions.set(peers, known);
    const before = known.get(families);
    if (before !== undefined) return before;
    const answers = new Uint8Array(this.#all.classes.length);
    for (const peer of peers) {
      const one = this.#peer(peer, families);
      for (let i = 0; i < answers.length; i += 1) answers[i] = Math.max(answers[i] ?? NO, one[i] ?? NO);
    }
    known.set(families, answers);
    return answers;
  }

  #peer(peer: Peer, families: Families): Answers {
    if (peer.kind === 'pods') return this.selection(peer.selection);
    const known = this.#peers.get(peer) ?? new Map<Families, Answers>();
    this.#peers.set(peer, known);
    const before = known.get(families);
    if (before !== undefined) return before;
    const answers = Uint8Array.from(this.#all.classes, (one) =>
      peer.kind === 'nodes' ? isNode(one, peer.selector) : this.#inBlocks(one, peer.blocks, families),
    );
    known.set(families, answers);
    return answers;
  }

  #select({ namespaces, pods }: PodSelection): Answers {
    const answers = new Uint8Array(this.#all.classes.length);
    for (const [name, classes] of this.#byNamespace) {
      if (!this.#isNamespace(namespaces, name)) continue;
      for (const i of classes) {
        const party = this.#all.classes[i]?.party;
        if (party?.kind === 'pod' && matches(pods, party.labels)) answers[i] = YES;
      }
    }
    return answers;
  }

  #isNamespace(namespaces: PodSelection['namespaces'], name: string): boolean {
    if (namespaces.kind === 'names') return namespaces.names.includes(name);
    const labels = this.#world.namespaces.get(name)?.meta.labels;
    return labels !== undefined && matches(namespaces.selector, labels);
  }

  /** As `matchesPeer` has it, with the addresses alone that can meet those of `families`. */
  #inBlocks({ regions: own }: EndpointClass, blocks: readonly CidrBlock[], families: Families): number {
    const { regions } = this.#all;
    const meeting = own.filter(({ family }) => (families & bitOf(family)) !== 0);
    const at = own.length < 2 || meeting.length === 0 ? own : meeting;
    if (at.length === 0) {
      const whole = blocks.filter(({ cidr }) => cidr.endsWith('/0'));
      if (whole.length === 0) return NO;
      return whole.some(({ except }) => except.length === 0) ? YES : PERHAPS;
    }
    const inside = at.filter(({ family, region }) =>
      blocks.some(
        ({ cidr, except }) =>
          regions.inside(cidr, family, region) && !except.some((hole) => regions.inside(hole, family, region)),
      ),
    );
    if (inside.length === 0) return NO;
    return inside.length === at.length ? YES : PERHAPS;
  }
}

function isNode({ party }: EndpointClass, selector: LabelSelector): number {
  return party.kind === 'host' && matches(selector, party.labels) ? YES : NO;
}

/** Equal for selections that say the same. */
function selectionText({ namespaces, pods }: PodSelection): string {
  const where =
    namespaces.kind === 'names' ? namespaces.names.toSorted().join() : `{${formatSelector(namespaces.selector)}}`;
  return `${where}/{${formatSelector(pods)}}`;
}
