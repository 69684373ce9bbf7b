import { isName, MAX_COMMENT_CHARS } from './ruleset.ts';
import type { NftChain, NftSet, Ruleset } from './ruleset.ts';

/**
 * The whole table as `table inet NAME { ... }`, the way a person would type it: sets and maps by name, then base
 * chains, then the others by name, elements sorted. Equal rulesets give equal text.
 *
 * @throws RangeError for a name or comment that nft could not read back; both are made by us, so that is a bug
 */
export function rulesetText(ruleset: Ruleset): string {
  const blocks = [
    ...byName(ruleset.sets).map(([name, set]) => setBlock(name, set)),
    ...byName(ruleset.chains)
      .filter(([, chain]) => chain.hook !== undefined)
      .map(([name, chain]) => chainBlock(name, chain)),
    ...byName(ruleset.chains)
      .filter(([, chain]) => chain.hook === undefined)
      .map(([name, chain]) => chainBlock(name, chain)),
  ];
  return `table inet ${nameText(ruleset.table)} {\n${blocks.join('\n')}}\n`;
}

/** One transaction after which the table is exactly `ruleset`, whatever stood there before, with no gap between. */
export function replaceText(ruleset: Ruleset): string {
  const table = nameText(ruleset.table);
  return `add table inet ${table}\ndelete table inet ${table}\n${rulesetText(ruleset)}`;
}

/** `name` as nft reads it, or a thrown error: it stands in text that changes a firewall. */
export function nameText(name: string): string {
  if (!isName(name)) throw new RangeError(`${JSON.stringify(name)} cannot be the name of a table, set or chain in nft`);
  return name;
}

/** The elements as nft lists them, sorted, `key` or `key : value`. */
export function elementTexts(elements: ReadonlyMap<string, string>): string[] {
  return [...elements].map(([key, value]) => elementText(key, value)).sort();
}

/** One element, `key` or `key : value`. */
export function elementText(key: string, value: string): string {
  return value === '' ? key : `${key} : ${value}`;
}

/** What stands between the braces of a set's declaration, one statement an entry, without elements. */
export function setStatements(set: NftSet): string[] {
  return [
    `type ${set.type}`,
    ...(set.flags.length > 0 ? [`flags ${set.flags.join(',')}`] : []),
    ...(set.autoMerge ? ['auto-merge'] : []),
    ...(set.each === undefined ? [] : [set.each]),
    ...commentStatement(set.comment),
  ];
}

/** What stands between the braces of a chain's declaration, one statement an entry, without rules. */
export function chainStatements(chain: NftChain): string[] {
  const hook = chain.hook;
  return [
    ...commentStatement(chain.comment),
    ...(hook === undefined ? [] : [`type ${hook.type} hook ${hook.hook} priority ${hook.priority}`, 'policy accept']),
  ];
}

function setBlock(name: string, set: NftSet): string {
  const elements = elementTexts(set.elements);
  const lines = setStatements(set).map((statement) => `\t\t${statement}\n`);
  if (elements.length > 0) lines.push(`\t\telements = { ${elements.join(',\n\t\t\t')} }\n`);
  return `\t${set.kind} ${nameText(name)} {\n${lines.join('')}\t}\n`;
}

function chainBlock(name: string, chain: NftChain): string {
  const lines = [
    ...commentStatement(chain.comment),
    ...(chain.hook === undefined ? [] : [`${chainStatements({ hook: chain.hook, rules: [] }).join('; ')};`]),
    ...chain.rules,
  ];
  return `\tchain ${nameText(name)} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

function commentStatement(comment: string | undefined): string[] {
  if (comment === undefined) return [];
  if (comment.length > MAX_COMMENT_CHARS || /["\n\\]/.test(comment)) {
    throw new RangeError(`nft takes no comment ${JSON.stringify(comment)}: too long, or a character that ends it`);
  }
  return [`comment "${comment}"`];
}

function byName<T>(entries: ReadonlyMap<string, T>): (readonly [string, T])[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}
