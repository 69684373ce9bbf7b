import type { NftChain, NftSet } from './ruleset.ts';
import { chainStatements, elementText, nameText, setStatements } from './text.ts';

interface In {
  /** Of family inet. */
  readonly table: string;
  readonly name: string;
}

/** One command of a transaction: what nft(8) takes as a line and nf_tables as a message, or a few. */
export type Command =
  | { readonly verb: 'add table' | 'delete table'; readonly table: string }
  | ({ readonly verb: 'delete set' | 'flush set'; readonly kind: NftSet['kind'] } & In)
  | ({ readonly verb: 'delete chain' | 'flush chain' } & In)
  /** Without elements, whatever `set` holds. */
  | ({ readonly verb: 'add set'; readonly set: NftSet } & In)
  /** Without rules, whatever `chain` holds. */
  | ({ readonly verb: 'add chain'; readonly chain: NftChain } & In)
  | ({ readonly verb: 'add rule'; readonly rule: string } & In)
  | EditCommand
  | ElementCommand;

/** A chain some of whose rules stay as they are. */
export type EditCommand = {
  readonly verb: 'edit chain';
  /** How many rules the chain has had. */
  readonly held: number;
  /** All that it is to have, in their order. */
  readonly rules: readonly string[];
  /** Of each of these the place, from 0, that it has had, rising; undefined: it is written anew. */
  readonly kept: readonly (number | undefined)[];
} & In;

/** Elements that come into a set or a verdict map, or go out of it. */
export type ElementCommand = {
  readonly verb: 'add element' | 'delete element';
  /**
   * The type of the whole set as nft writes it, `ifname . ipv4_addr`, `ipv4_addr : verdict`, where each key is one
   * element to nf_tables too (of intervals it is not); undefined where that isn't known, as in text.
   */
  readonly type: string | undefined;
  /** The text of each key and what a map gives for it; '' in a set, and where it goes. */
  readonly elements: readonly (readonly [key: string, value: string])[];
} & In;

/** Whether a command is about elements alone. */
export function isOfElements(command: Command): boolean {
  return command.verb === 'add element' || command.verb === 'delete element';
}

/** The commands in the words of nft(8), one a line. */
export function commandsText(commands: readonly Command[]): string {
  return commands.map((command) => `${commandText(command)}\n`).join('');
}

/** A command in the words of nft(8), an edit in several lines. @throws RangeError for a name that nft could not read */
export function commandText(command: Command): string {
  const table = `inet ${nameText(command.table)}`;
  const where = 'name' in command ? `${table} ${nameText(command.name)}` : table;
  switch (command.verb) {
    case 'add table':
    case 'delete table':
    case 'delete chain':
    case 'flush chain':
      return `${command.verb} ${where}`;
    case 'delete set':
    case 'flush set':
      return `${command.verb.replace('set', command.kind)} ${where}`;
    case 'add set':
      return `add ${command.set.kind} ${where} { ${setStatements(command.set).join('; ')}; }`;
    case 'add chain': {
      const statements = chainStatements(command.chain).map((statement) => `${statement}; `);
      return `add chain ${where}${statements.length > 0 ? ` { ${statements.join('')}}` : ''}`;
    }
    case 'edit chain':
      // To nft(8) a rule has no name but its handle.
      return [`flush chain ${where}`, ...command.rules.map((rule) => `add rule ${where} ${rule}`)].join('\n');
    case 'add rule':
      return `add rule ${where} ${command.rule}`;
    case 'add element':
    case 'delete element': {
      const texts = command.elements.map(([key, value]) => elementText(key, value));
      return `${command.verb} ${where} { ${texts.join(', ')} }`;
    }
  }
}
