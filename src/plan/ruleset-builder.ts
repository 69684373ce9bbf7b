import type { Family } from '../addr/address.ts';
import { MAX_COMMENT_CHARS } from '../nft/ruleset.ts';
import type { NftChain, NftSet, Ruleset } from '../nft/ruleset.ts';

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

/** Collects the sets and chains of one ruleset. A name is given out once; twice is a bug. */
export class RulesetBuilder {
  readonly #sets = new Map<string, NftSet>();
  readonly #chains = new Map<string, NftChain>();

  /** Declares a set with its elements and returns its name. */
  set(
    name: string,
    type: string,
    elements: Iterable<string>,
    more: { interval?: boolean; each?: string; comment?: string } = {},
  ): string {
    const keys = new Map<string, string>();
    for (const element of elements) keys.set(element, '');
    return this.#declare(name, {
      kind: 'set',
      type,
      flags: more.interval === true ? ['interval'] : [],
      autoMerge: false,
      ...(more.each === undefined ? {} : { each: more.each }),
      ...(more.comment === undefined ? {} : { comment: commentText(more.comment) }),
      elements: keys,
    });
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
    if (this.#chains.has(name)) throw new Error(`chain ${name} is declared twice`);
    this.#chains.set(name, chain.comment === undefined ? chain : { ...chain, comment: commentText(chain.comment) });
  }

  /** Whether a set of this name is declared already. */
  has(name: string): boolean {
    return this.#sets.has(name);
  }

  /** Whether a chain of this name is declared already. */
  hasChain(name: string): boolean {
    return this.#chains.has(name);
  }

  ruleset(): Ruleset {
    return { table: TABLE, sets: this.#sets, chains: this.#chains };
  }

  #declare(name: string, set: NftSet): string {
    if (this.#sets.has(name)) throw new Error(`set ${name} is declared twice`);
    this.#sets.set(name, set);
    return name;
  }
}

/** `text` as a comment: nft cannot escape a quote and takes a bounded length; names of objects never have either. */
export function commentText(text: string): string {
  const plain = text.replaceAll(/[^ -!#-[\]-~]/g, '?');
  return plain.length <= MAX_COMMENT_CHARS ? plain : `${plain.slice(0, MAX_COMMENT_CHARS - 3)}...`;
}
