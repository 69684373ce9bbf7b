import type { Family } from '../addr/address.ts';
import { MAX_COMMENT_CHARS } from '../nft/ruleset.ts';
import type { NftChain, NftSet, Ruleset } from '../nft/ruleset.ts';
import type { PodSelection } from '../policy/model.ts';
import { NamePool } from './name-pool.ts';
import { PEERS_PREFIX } from './peers.ts';
import type { CompiledPeers, PeerWatch } from './peers.ts';

/** The name of our one table, of family inet. */
export const TABLE = 'romana';

/** The words that differ between the families in nft(8). */
export const WORDS = {
  4: {
    ip: 'ip',
    type: 'ipv4_addr',
    errors: 'icmp type { destination-unreachable, source-quench, time-exceeded, parameter-problem }',
  },
  6: {
    ip: 'ip6',
    type: 'ipv6_addr',
    errors: 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }',
  },
} as const satisfies Record<Family, { ip: string; type: string; errors: string }>;

/** What a part of a ruleset declares, asks for and was made of, all that it shares with other parts too. */
export interface Fragment {
  readonly sets: Map<string, NftSet>;
  readonly chains: Map<string, NftChain>;
  /** The keys of the short names. */
  readonly names: Map<string, string>;
  readonly watches: Set<PeerWatch>;
  readonly parts: Map<string, Part>;
  /** The selections that it looks up, as they were compiled. */
  readonly selections: Map<PodSelection, CompiledPeers>;
  /** Whether it was made of more of what is known than these. */
  ofMore: boolean;
}

interface Part {
  readonly result: unknown;
  readonly fragment: Fragment;
}

/** What is told of a set beside its elements. */
interface SetWords {
  readonly interval?: boolean;
  readonly each?: string;
  readonly comment?: string;
}

/** Collects the sets and chains of one ruleset. A name is given out once; twice is a bug. */
export class RulesetBuilder {
  readonly #names = new NamePool();
  readonly #all = newFragment();
  /** Those that are under way, outermost first; the whole is always one. */
  #recording: readonly Fragment[] = [this.#all];

  /** Declares a set with its elements and returns its name. */
  set(name: string, type: string, elements: Iterable<string>, words: SetWords = {}): string {
    return this.#declare(name, {
      kind: 'set',
      type,
      flags: words.interval === true ? ['interval'] : [],
      autoMerge: false,
      ...(words.each === undefined ? {} : { each: words.each }),
      ...(words.comment === undefined ? {} : { comment: commentText(words.comment) }),
      elements: keysOf(elements),
    });
  }

  /** A set that several parts look into: declared by the first. */
  shared(name: string, type: string, elements: () => Iterable<string>, words: SetWords = {}): string {
    const before = this.#all.sets.get(name);
    if (before === undefined) return this.set(name, type, elements(), words);
    for (const fragment of this.#recording) fragment.sets.set(name, before);
    return name;
  }

  /** Declares a map from addresses to verdicts and returns its name. */
  verdicts(name: string, family: Family, elements: ReadonlyMap<string, string>, comment: string): string {
    const type = `${WORDS[family].type} : verdict`;
    return this.#declare(name, {
      kind: 'map',
      type,
      flags: [],
      autoMerge: false,
      comment: commentText(comment),
      elements,
    });
  }

  /** Adds a chain; a base chain if it has a hook. */
  chain(name: string, chain: NftChain): void {
    if (this.#all.chains.has(name)) throw new Error(`chain ${name} is declared twice`);
    const declared = chain.comment === undefined ? chain : { ...chain, comment: commentText(chain.comment) };
    for (const fragment of this.#recording) fragment.chains.set(name, declared);
  }

  /** A short name for a long key, the same for the same key. */
  name(prefix: string, key: string): string {
    const name = this.#names.name(prefix, key);
    for (const fragment of this.#recording) fragment.names.set(name, key);
    return name;
  }

  /** Asks for watches on pods. */
  watch(watches: Iterable<PeerWatch>): void {
    for (const watch of watches) for (const fragment of this.#recording) fragment.watches.add(watch);
  }

  /** What follows looks up these peers. */
  use(selection: PodSelection, compiled: CompiledPeers): void {
    for (const fragment of this.#recording) fragment.selections.set(selection, compiled);
  }

  /** What follows is made of more of what is known than selections. */
  useMore(): void {
    for (const fragment of this.#recording) fragment.ofMore = true;
  }

  /** What was asked for. */
  get watches(): ReadonlySet<PeerWatch> {
    return this.#all.watches;
  }

  /** A part that others may need as well: the first one makes it, for the others it is there. */
  part<T>(key: string, make: () => T): T {
    const before = this.#all.parts.get(key);
    const part = before ?? this.record(make);
    if (before !== undefined) this.#note(before.fragment);
    for (const fragment of this.#recording) fragment.parts.set(key, part);
    return part.result as T;
  }

  /** Makes something and says what that declared. */
  record<T>(make: () => T): { readonly result: T; readonly fragment: Fragment } {
    const fragment = newFragment();
    const outer = this.#recording;
    this.#recording = [...outer, fragment];
    try {
      return { result: make(), fragment };
    } finally {
      this.#recording = outer;
    }
  }

  /**
   * In what was recorded, the peers of a selection have other addresses now, which are in sets of their own alone: these
   * hold them from now on.
   */
  renew({ parts, names, ...whole }: Fragment, selection: PodSelection, compiled: CompiledPeers): void {
    const isTheirs = ([name, key]: [string, string]): boolean =>
      key === compiled.shared && name.startsWith(`${PEERS_PREFIX}-`);
    const [peers] = [...names].find(isTheirs) ?? [];
    const sets = Array.from(compiled.byFamily, ([family, { exact }]) => [`${peers}-${family}`, exact] as const);
    for (const fragment of [whole, ...Array.from(parts.values(), (part) => part.fragment)]) {
      if (!fragment.selections.has(selection)) continue;
      fragment.selections.set(selection, compiled);
      for (const [name, exact] of sets) {
        const before = fragment.sets.get(name);
        if (before === undefined) continue;
        fragment.sets.set(name, this.#all.sets.get(name) ?? { ...before, elements: keysOf(exact) });
      }
    }
  }

  /** Declares what was recorded for an earlier ruleset. False, and nothing is: a name stands for something else here. */
  replay(fragment: Fragment): boolean {
    for (const [name, key] of fragment.names) if (!this.#names.mayBe(name, key)) return false;
    for (const [name, key] of fragment.names) this.#names.hold(name, key);
    this.#note(fragment);
    return true;
  }

  ruleset(): Ruleset {
    return { table: TABLE, sets: this.#all.sets, chains: this.#all.chains };
  }

  #declare(name: string, set: NftSet): string {
    if (this.#all.sets.has(name)) throw new Error(`set ${name} is declared twice`);
    for (const fragment of this.#recording) fragment.sets.set(name, set);
    return name;
  }

  #note({ sets, chains, names, watches, parts, selections, ofMore }: Fragment): void {
    for (const into of this.#recording) {
      // What is there already says the same.
      for (const [name, set] of sets) if (!into.sets.has(name)) into.sets.set(name, set);
      for (const [name, chain] of chains) if (!into.chains.has(name)) into.chains.set(name, chain);
      for (const watch of watches) into.watches.add(watch);
      for (const [key, part] of parts) if (!into.parts.has(key)) into.parts.set(key, part);
      // Of the whole nobody asks what it was made of.
      if (into === this.#all) continue;
      for (const [name, key] of names) into.names.set(name, key);
      for (const [selection, compiled] of selections) into.selections.set(selection, compiled);
      into.ofMore ||= ofMore;
    }
  }
}

function keysOf(elements: Iterable<string>): Map<string, string> {
  const keys = new Map<string, string>();
  for (const element of elements) keys.set(element, '');
  return keys;
}

function newFragment(): Fragment {
  return {
    sets: new Map(),
    chains: new Map(),
    names: new Map(),
    watches: new Set(),
    parts: new Map(),
    selections: new Map(),
    ofMore: false,
  };
}

/** `text` as a comment: nft cannot escape a quote and takes a bounded length; names of objects never have either. */
export function commentText(text: string): string {
  const plain = text.replaceAll(/[^ -!#-[\]-~]/g, '?');
  return plain.length <= MAX_COMMENT_CHARS ? plain : `${plain.slice(0, MAX_COMMENT_CHARS - 3)}...`;
}
