/** One named set or verdict map of a table, in the words of nft(8). */
export interface NftSet {
  readonly kind: 'set' | 'map';
  /** As nft writes it after `type`: `ifname . ipv4_addr`, `ipv4_addr : verdict`. */
  readonly type: string;
  readonly flags: readonly string[];
  readonly autoMerge: boolean;
  /** What each element does when a rule finds it, beside being found: `counter`, `limit rate 2/second`, in this order. */
  readonly each?: string;
  /** At most 128 characters, none of them a quote (nft cannot escape one). */
  readonly comment?: string;
  /** The text of each key, and what a map gives for it ('' in a set). */
  readonly elements: ReadonlyMap<string, string>;
}

/** Where a base chain is hooked in. Its policy is always accept: what we forbid, a rule says. */
export interface NftHook {
  readonly type: 'filter' | 'nat';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** A name of nft(8), "raw", "filter", "srcnat", or a number. */
  readonly priority: string;
}

/** One chain of a table: a base chain if it has a hook. */
export interface NftChain {
  readonly hook?: NftHook;
  readonly comment?: string;
  /** One rule a line, as nft(8) has it. */
  readonly rules: readonly string[];
}

/** A whole table of family inet. */
export interface Ruleset {
  readonly table: string;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, NftChain>;
}

/** What a rule or a map's value names: sets by `@name`, chains by `jump` and `goto`. */
export interface References {
  readonly sets: readonly string[];
  readonly chains: readonly string[];
}

/** The longest comment that nft 1.0.6 takes (NFTNL_UDATA_COMMENT_MAXLEN). */
export const MAX_COMMENT_CHARS = 128;

const NAME = /^[A-Za-z_.][A-Za-z0-9_./-]*$/;
const REFERENCE = /"[^"]*"|@([A-Za-z_.][A-Za-z0-9_./-]*)|\b(?:jump|goto) ([A-Za-z_.][A-Za-z0-9_./-]*)/g;

/** The table before anything is in it. */
export function emptyRuleset(table: string): Ruleset {
  return { table, sets: new Map(), chains: new Map() };
}

/** Whether `name` can stand in nft text without quotes, as the name of a table, set or chain (nft's scanner). */
export function isName(name: string): boolean {
  return NAME.test(name);
}

/** The sets and chains that `text` names: a rule, or what a verdict map gives. */
export function references(text: string): References {
  const sets: string[] = [];
  const chains: string[] = [];
  for (const [, set, chain] of text.matchAll(REFERENCE)) {
    if (set !== undefined) sets.push(set);
    if (chain !== undefined) chains.push(chain);
  }
  return { sets, chains };
}

/** Whether two sets are declared alike, whatever is in them. */
export function sameDeclaration(a: NftSet, b: NftSet): boolean {
  return (
    a.kind === b.kind &&
    a.type === b.type &&
    a.autoMerge === b.autoMerge &&
    a.each === b.each &&
    a.comment === b.comment &&
    a.flags.join() === b.flags.join()
  );
}

/** Whether two chains hang on the same hook under the same comment, whatever rules they hold. */
export function sameChainHead(a: NftChain, b: NftChain): boolean {
  return (
    a.comment === b.comment &&
    a.hook?.type === b.hook?.type &&
    a.hook?.hook === b.hook?.hook &&
    a.hook?.priority === b.hook?.priority
  );
}
