import type { Command, ElementCommand } from './command.ts';
import { commandsText } from './command.ts';
import { references, sameChainHead, sameDeclaration } from './ruleset.ts';
import type { NftChain, NftSet, Ruleset } from './ruleset.ts';
import { replaceText } from './text.ts';

/**
 * One transaction that makes the table `after` of the table `before`; no command when there is nothing to do. It is made
 * from the two alone, the kernel is not asked, so its length is that of the change.
 *
 * The order keeps every reference valid (nf_tables checks each command against the table as the commands before it
 * left it): new sets and chains; then what is in sets; then rules, a changed chain being flushed and written again;
 * then what is in verdict maps, now that every chain is there; and last what nothing names any more.
 *
 * @returns undefined when the table has to be put whole: a chain's hook or comment cannot be changed in place.
 */
export function delta(before: Ruleset, after: Ruleset): readonly Command[] | undefined {
  if (before.table !== after.table) throw new RangeError(`${before.table} and ${after.table} are different tables`);
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    if (old !== undefined && old !== chain && !sameChainHead(old, chain)) return undefined;
  }
  return new Delta(before, after).commands();
}

/** The same as text: '' when there is nothing to do, the whole table when it has to be put whole. */
export function deltaText(before: Ruleset, after: Ruleset): string {
  const commands = delta(before, after);
  return commands === undefined ? replaceText(after) : commandsText(commands);
}

class Delta {
  readonly #before: Ruleset;
  readonly #after: Ruleset;
  readonly #table: string;
  readonly #commands: Command[] = [];
  /** Sets that are declared anew under their name: gone and back within the transaction. */
  readonly #redeclared: ReadonlySet<string>;

  constructor(before: Ruleset, after: Ruleset) {
    this.#before = before;
    this.#after = after;
    this.#table = after.table;
    const redeclared = new Set<string>();
    for (const [name, set] of after.sets) {
      const old = before.sets.get(name);
      if (old !== undefined && old !== set && !sameDeclaration(old, set)) redeclared.add(name);
    }
    this.#redeclared = redeclared;
  }

  commands(): readonly Command[] {
    this.#releaseRedeclared();
    this.#addSets();
    this.#addChains();
    this.#changeElements('set');
    this.#changeRules();
    this.#changeElements('map');
    this.#removeChainsAndSets();
    return this.#commands;
  }

  #flushChain(name: string): void {
    this.#commands.push({ verb: 'flush chain', table: this.#table, name });
  }

  #releaseRedeclared(): void {
    if (this.#redeclared.size === 0) return;
    for (const [name, chain] of this.#before.chains) {
      if (this.#namesRedeclared(chain)) this.#flushChain(name);
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
      this.#commands.push({ verb: 'add set', table: this.#table, name, set });
    }
  }

  #addChains(): void {
    for (const [name, chain] of this.#after.chains) {
      if (this.#before.chains.has(name)) continue;
      this.#commands.push({ verb: 'add chain', table: this.#table, name, chain });
    }
  }

  #changeElements(kind: NftSet['kind']): void {
    for (const [name, set] of this.#after.sets) {
      if (set.kind !== kind) continue;
      const old = this.#redeclared.has(name) ? undefined : this.#before.sets.get(name);
      this.#changeElementsOf(name, set, old?.elements ?? new Map<string, string>());
    }
  }

  #changeElementsOf(name: string, set: NftSet, old: Elements): void {
    const { gone, come } = elementsThatDiffer(old, set.elements);
    // An interval is two elements to nf_tables.
    const type = set.flags.length === 0 && !set.autoMerge ? set.type : undefined;
    const say = (verb: ElementCommand['verb'], elements: ElementCommand['elements']): void => {
      if (elements.length > 0) this.#commands.push({ verb, table: this.#table, name, type, elements });
    };
    say('delete element', gone);
    say('add element', come);
  }

  #changeRules(): void {
    for (const [name, chain] of this.#after.chains) {
      const old = this.#before.chains.get(name);
      const released = old !== undefined && this.#namesRedeclared(old);
      if (old !== undefined && !released && sameRules(old.rules, chain.rules)) continue;
      const kept = old === undefined || released ? [] : keptRules(old.rules, chain.rules);
      const stay = kept.filter((place) => place !== undefined).length;
      // Where most go, all do: the kernel looks for the place of each rule that goes or comes, from the first one on.
      if (old !== undefined && stay > 0 && stay >= old.rules.length / 2) {
        const { rules } = chain;
        this.#commands.push({ verb: 'edit chain', table: this.#table, name, held: old.rules.length, rules, kept });
        continue;
      }
      if (old !== undefined && !released && old.rules.length > 0) this.#flushChain(name);
      for (const rule of chain.rules) this.#commands.push({ verb: 'add rule', table: this.#table, name, rule });
    }
  }

  /** Chains are emptied first, so that they name neither each other nor a set; maps go before chains they lead to. */
  #removeChainsAndSets(): void {
    const chains = [...this.#before.chains.keys()].filter((name) => !this.#after.chains.has(name));
    const sets = [...this.#before.sets.keys()].filter((name) => !this.#after.sets.has(name));
    for (const name of chains) this.#flushChain(name);
    for (const name of sets) this.#deleteSet(name);
    for (const name of chains) this.#commands.push({ verb: 'delete chain', table: this.#table, name });
  }

  /** A map is emptied first: kernels before 6.5 did not release its chains within the transaction that deletes it. */
  #deleteSet(name: string): void {
    const set = this.#before.sets.get(name);
    if (set === undefined) return;
    const { kind } = set;
    if (kind === 'map' && set.elements.size > 0) {
      this.#commands.push({ verb: 'flush set', table: this.#table, name, kind });
    }
    this.#commands.push({ verb: 'delete set', table: this.#table, name, kind });
  }
}

type Elements = NftSet['elements'];

/** The keys to take out and then the elements to put in. A key whose value changed is in both: nf_tables has no update. */
function elementsThatDiffer(old: Elements, now: Elements): Record<'gone' | 'come', ElementCommand['elements']> {
  const gone: (readonly [string, string])[] = [];
  const come: (readonly [string, string])[] = [];
  if (old === now) return { gone, come };
  for (const [key, value] of old) if (now.get(key) !== value) gone.push([key, '']);
  // Nothing has come when all that is left of the old is all there is now.
  if (old.size - gone.length === now.size) return { gone, come };
  for (const [key, value] of now) if (old.get(key) !== value) come.push([key, value]);
  return { gone, come };
}

/** Which of the rules of now are there already, by their places, in an order that both have. */
function keptRules(old: readonly string[], now: readonly string[]): readonly (number | undefined)[] {
  const places = new Map<string, number[]>();
  for (const [place, rule] of old.entries()) {
    const list = places.get(rule);
    if (list === undefined) places.set(rule, [place]);
    else list.push(place);
  }
  let next = 0;
  return now.map((rule) => {
    const place = places.get(rule)?.find((each) => each >= next);
    if (place !== undefined) next = place + 1;
    return place;
  });
}

function sameRules(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((rule, index) => rule === b[index]));
}
