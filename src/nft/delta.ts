import type { ElementChange } from './element-change.ts';
import { references, sameChainHead, sameDeclaration } from './ruleset.ts';
import type { NftChain, NftSet, Ruleset } from './ruleset.ts';
import { chainStatements, elementText, nameText, replaceText, setStatements } from './text.ts';

/**
 * One transaction that makes the table `after` of the table `before`, or '' when there is nothing to do. It is made
 * from the two alone, the kernel is not asked, so its length is that of the change.
 *
 * The order keeps every reference valid (nf_tables checks each command against the table as the commands before it
 * left it): new sets and chains; then what is in sets; then rules, a changed chain being flushed and written again;
 * then what is in verdict maps, now that every chain is there; and last what nothing names any more.
 *
 * A chain whose hook or comment changes cannot be changed in place; then the transaction replaces the whole table.
 */
export function deltaText(before: Ruleset, after: Ruleset): string {
  sameTable(before, after);
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    if (old !== undefined && old !== chain && !sameChainHead(old, chain)) return replaceText(after);
  }
  return new Delta(before, after).text();
}

/**
 * The same change as elements that come and go, when it is nothing else: no chain differs, no set comes, goes or is
 * declared otherwise, and what differs are elements of sets and maps without flags (an interval is two elements to
 * nf_tables). Undefined otherwise; then `deltaText` says it.
 */
export function elementDelta(before: Ruleset, after: Ruleset): readonly ElementChange[] | undefined {
  sameTable(before, after);
  if (!sameChains(before.chains, after.chains) || before.sets.size !== after.sets.size) return undefined;
  const changes: ElementChange[] = [];
  for (const [set, now] of after.sets) {
    const old = before.sets.get(set);
    if (old === now) continue;
    if (old === undefined || !sameDeclaration(old, now)) return undefined;
    const { gone, come } = elementsThatDiffer(old.elements, now.elements);
    if (gone.length + come.length > 0 && (now.flags.length > 0 || now.autoMerge)) return undefined;
    for (const key of gone) changes.push({ set, type: now.type, op: 'delete', key, value: '' });
    for (const [key, value] of come) changes.push({ set, type: now.type, op: 'add', key, value });
  }
  return changes;
}

function sameTable(before: Ruleset, after: Ruleset): void {
  if (before.table !== after.table) throw new RangeError(`${before.table} and ${after.table} are different tables`);
}

function sameChains(before: Ruleset['chains'], after: Ruleset['chains']): boolean {
  if (before.size !== after.size) return false;
  for (const [name, chain] of after) {
    const old = before.get(name);
    if (old === chain) continue;
    if (old === undefined || !sameChainHead(old, chain) || !sameRules(old.rules, chain.rules)) return false;
  }
  return true;
}

class Delta {
  readonly #before: Ruleset;
  readonly #after: Ruleset;
  readonly #table: string;
  readonly #lines: string[] = [];
  /** Sets that are declared anew under their name: gone and back within the transaction. */
  readonly #redeclared: ReadonlySet<string>;

  constructor(before: Ruleset, after: Ruleset) {
    this.#before = before;
    this.#after = after;
    this.#table = `inet ${nameText(after.table)}`;
    const redeclared = new Set<string>();
    for (const [name, set] of after.sets) {
      const old = before.sets.get(name);
      if (old !== undefined && old !== set && !sameDeclaration(old, set)) redeclared.add(name);
    }
    this.#redeclared = redeclared;
  }

  text(): string {
    this.#releaseRedeclared();
    this.#addSets();
    this.#addChains();
    this.#changeElements('set');
    this.#changeRules();
    this.#changeElements('map');
    this.#removeChainsAndSets();
    return this.#lines.join('');
  }

  #say(command: string): void {
    this.#lines.push(`${command}\n`);
  }

  #releaseRedeclared(): void {
    if (this.#redeclared.size === 0) return;
    for (const [name, chain] of this.#before.chains) {
      if (this.#namesRedeclared(chain)) this.#say(`flush chain ${this.#table} ${name}`);
    }
    for (const name of this.#redeclared) this.#deleteSet(name);
  }

  #namesRedeclared(chain: NftChain): boolean {
    if (this.#redeclared.size === 0) return false;
    return chain.rules.some((rule) => references(rule).sets.some((name) => this.#redeclared.has(name)));
  }

  #addSets(): void {
    for (const [name, set] of this.#after.sets) {
      if (this.#before.sets.has(name) && !this.#redeclared.has(name)) continue;
      this.#say(`add ${set.kind} ${this.#table} ${nameText(name)} { ${setStatements(set).join('; ')}; }`);
    }
  }

  #addChains(): void {
    for (const [name, chain] of this.#after.chains) {
      if (this.#before.chains.has(name)) continue;
      const statements = chainStatements(chain).map((statement) => `${statement}; `);
      this.#say(
        `add chain ${this.#table} ${nameText(name)}${statements.length > 0 ? ` { ${statements.join('')}}` : ''}`,
      );
    }
  }

  #changeElements(kind: NftSet['kind']): void {
    for (const [name, set] of this.#after.sets) {
      if (set.kind !== kind) continue;
      const old = this.#redeclared.has(name) ? undefined : this.#before.sets.get(name);
      this.#changeElementsOf(name, old?.elements ?? new Map<string, string>(), set.elements);
    }
  }

  #changeElementsOf(name: string, old: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): void {
    const { gone, come } = elementsThatDiffer(old, now);
    const texts = come.map(([key, value]) => elementText(key, value));
    if (gone.length > 0) this.#say(`delete element ${this.#table} ${name} { ${gone.join(', ')} }`);
    if (texts.length > 0) this.#say(`add element ${this.#table} ${name} { ${texts.join(', ')} }`);
  }

  #changeRules(): void {
    for (const [name, chain] of this.#after.chains) {
      const old = this.#before.chains.get(name);
      const released = old !== undefined && this.#namesRedeclared(old);
      if (old !== undefined && !released && sameRules(old.rules, chain.rules)) continue;
      if (old !== undefined && !released && old.rules.length > 0) this.#say(`flush chain ${this.#table} ${name}`);
      for (const rule of chain.rules) this.#say(`add rule ${this.#table} ${name} ${rule}`);
    }
  }

  /** Chains are emptied first, so that they name neither each other nor a set; maps go before chains they lead to. */
  #removeChainsAndSets(): void {
    const chains = [...this.#before.chains.keys()].filter((name) => !this.#after.chains.has(name));
    const sets = [...this.#before.sets.keys()].filter((name) => !this.#after.sets.has(name));
    for (const name of chains) this.#say(`flush chain ${this.#table} ${name}`);
    for (const name of sets) this.#deleteSet(name);
    for (const name of chains) this.#say(`delete chain ${this.#table} ${name}`);
  }

  /** A map is emptied first: kernels before 6.5 did not release its chains within the transaction that deletes it. */
  #deleteSet(name: string): void {
    const set = this.#before.sets.get(name);
    if (set === undefined) return;
    if (set.kind === 'map' && set.elements.size > 0) this.#say(`flush map ${this.#table} ${name}`);
    this.#say(`delete ${set.kind} ${this.#table} ${name}`);
  }
}

type Elements = NftSet['elements'];

/** The keys to take out and then the elements to put in. A key whose value changed is in both: nf_tables has no update. */
function elementsThatDiffer(old: Elements, now: Elements): { gone: string[]; come: (readonly [string, string])[] } {
  const gone: string[] = [];
  const come: (readonly [string, string])[] = [];
  if (old === now) return { gone, come };
  for (const [key, value] of old) if (now.get(key) !== value) gone.push(key);
  // Nothing has come when all that is left of the old is all there is now.
  if (old.size - gone.length === now.size) return { gone, come };
  for (const [key, value] of now) if (old.get(key) !== value) come.push([key, value]);
  return { gone, come };
}

function sameRules(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((rule, index) => rule === b[index]));
}
