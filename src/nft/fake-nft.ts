import { commandsText, isOfElements } from './command.ts';
import type { Command, EditCommand, ElementCommand } from './command.ts';
import { encodeCommands } from './encode-commands.ts';
import { parseCommands } from './parse-commands.ts';
import { NftError } from './nft.ts';
import type { Nft } from './nft.ts';
import { emptyRuleset, references, sameDeclaration } from './ruleset.ts';
import type { NftChain, NftSet, Ruleset } from './ruleset.ts';
import { rulesetText } from './text.ts';

interface MutableTable {
  readonly sets: Map<string, NftSet>;
  readonly chains: Map<string, NftChain>;
}

/**
 * nftables in memory, for tests: reads the text that src/nft writes, refuses what the kernel refuses (unknown or
 * doubled names, references to nothing, deletion of what is referenced or not there), and changes nothing then.
 * Stricter than the kernel in one thing: adding an element that is there already is refused.
 */
export class FakeNft implements Nft {
  #tables = new Map<string, MutableTable>();
  /** Every transaction that was accepted, the empty ones left out; one of `change` as the text that does the same. */
  readonly transactions: string[] = [];
  /** How many of these came by `change` and were of elements alone. */
  elementTransactions = 0;

  run(text: string): void {
    if (text === '') return;
    this.#transact(text, parseCommands(text));
  }

  check(text: string): void {
    this.#tried(text, parseCommands(text));
  }

  change(commands: readonly Command[]): boolean {
    if (encodeCommands(commands) === undefined) return false;
    if (commands.length === 0) return true;
    this.#transact(commandsText(commands), commands);
    if (commands.every(isOfElements)) this.elementTransactions += 1;
    return true;
  }

  #transact(text: string, commands: readonly Command[]): void {
    this.#tables = this.#tried(text, commands);
    this.transactions.push(text);
  }

  /** The tables as they would be. */
  #tried(text: string, commands: readonly Command[]): Map<string, MutableTable> {
    const tables = new Map<string, MutableTable>();
    for (const [name, table] of this.#tables) {
      tables.set(name, { sets: new Map(table.sets), chains: new Map(table.chains) });
    }
    try {
      for (const command of commands) apply(tables, command);
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause;
      throw new NftError(text, `Error: ${cause.message}\n`);
    }
    return tables;
  }

  list(table: string): string {
    if (!this.#tables.has(table)) throw new NftError(`list table inet ${table}`, 'Error: No such file or directory');
    return rulesetText(this.ruleset(table));
  }

  /** What the table holds; an empty one when there is none. */
  ruleset(table: string): Ruleset {
    return { ...emptyRuleset(table), ...this.#tables.get(table) };
  }
}

class Refusal extends Error {}

function apply(tables: Map<string, MutableTable>, command: Command): void {
  if (command.verb === 'add table') {
    if (!tables.has(command.table)) tables.set(command.table, { sets: new Map(), chains: new Map() });
    return;
  }
  const table = tables.get(command.table);
  if (table === undefined) throw new Refusal(`no table ${command.table}`);
  switch (command.verb) {
    case 'delete table':
      tables.delete(command.table);
      return;
    case 'add set':
      return addSet(table, command.name, command.set);
    case 'delete set':
      setOf(table, command.name);
      refuseIfNamed(table, command.name, 'sets');
      table.sets.delete(command.name);
      return;
    case 'flush set':
      table.sets.set(command.name, { ...setOf(table, command.name), elements: new Map() });
      return;
    case 'add element':
    case 'delete element':
      return changeElements(table, command);
    case 'add chain':
      if (table.chains.has(command.name)) throw new Refusal(`chain ${command.name} is there already`);
      table.chains.set(command.name, { ...command.chain, rules: [] });
      return;
    case 'delete chain':
      if (chainOf(table, command.name).rules.length > 0) throw new Refusal(`chain ${command.name} holds rules`);
      refuseIfNamed(table, command.name, 'chains');
      table.chains.delete(command.name);
      return;
    case 'flush chain':
      table.chains.set(command.name, { ...chainOf(table, command.name), rules: [] });
      return;
    case 'edit chain':
      return editChain(table, command);
    case 'add rule': {
      const chain = chainOf(table, command.name);
      checkReferences(table, command.rule);
      table.chains.set(command.name, { ...chain, rules: [...chain.rules, command.rule] });
    }
  }
}

/** Rules that stay are known by their places alone. */
function editChain(table: MutableTable, { name, held, rules, kept }: EditCommand): void {
  const chain = chainOf(table, name);
  if (chain.rules.length !== held) throw new Refusal(`chain ${name} has ${chain.rules.length} rules, not ${held}`);
  let next = 0;
  const now = rules.map((rule, index) => {
    const place = kept[index];
    if (place === undefined) {
      checkReferences(table, rule);
      return rule;
    }
    if (place < next) throw new Refusal(`rule ${place} of chain ${name} would move`);
    next = place + 1;
    return chain.rules[place] ?? '';
  });
  table.chains.set(name, { ...chain, rules: now });
}

function addSet(table: MutableTable, name: string, set: NftSet): void {
  const old = table.sets.get(name);
  if (old !== undefined && !sameDeclaration(old, set))
    throw new Refusal(`set ${name} is there with another declaration`);
  if (old === undefined) table.sets.set(name, { ...set, elements: new Map() });
}

function changeElements(table: MutableTable, command: ElementCommand): void {
  const set = setOf(table, command.name);
  if (command.type !== undefined && command.type !== set.type) {
    throw new Refusal(`set ${command.name} is of type ${set.type}, not ${command.type}`);
  }
  const elements = new Map(set.elements);
  for (const [key, value] of command.elements) {
    if (command.verb === 'delete element') {
      if (!elements.delete(key)) throw new Refusal(`set ${command.name} has no element ${key}`);
      continue;
    }
    if (elements.has(key)) throw new Refusal(`set ${command.name} has the element ${key} already`);
    if ((value === '') !== (set.kind === 'set')) throw new Refusal(`${key} is no element of a ${set.kind}`);
    checkReferences(table, value);
    elements.set(key, value);
  }
  table.sets.set(command.name, { ...set, elements });
}

function setOf(table: MutableTable, name: string): NftSet {
  const set = table.sets.get(name);
  if (set === undefined) throw new Refusal(`no set ${name}`);
  return set;
}

function chainOf(table: MutableTable, name: string): NftChain {
  const chain = table.chains.get(name);
  if (chain === undefined) throw new Refusal(`no chain ${name}`);
  return chain;
}

function checkReferences(table: MutableTable, text: string): void {
  const named = references(text);
  for (const name of named.sets) setOf(table, name);
  for (const name of named.chains) {
    if (chainOf(table, name).hook !== undefined) throw new Refusal(`${name} is a base chain, nothing jumps there`);
  }
}

function refuseIfNamed(table: MutableTable, name: string, kind: 'sets' | 'chains'): void {
  for (const [chain, { rules }] of table.chains) {
    if (rules.some((rule) => references(rule)[kind].includes(name)))
      throw new Refusal(`${name} is named in chain ${chain}`);
  }
  for (const [set, { elements }] of table.sets) {
    for (const value of elements.values()) {
      if (references(value)[kind].includes(name)) throw new Refusal(`${name} is named in map ${set}`);
    }
  }
}
