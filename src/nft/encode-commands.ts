import type { Command, EditCommand, ElementCommand } from './command.ts';
import { encodeKey } from './element-key.ts';
import { encodeRule } from './encode-rule.ts';
import type { EncodedRule } from './encode-rule.ts';
import { isName } from './ruleset.ts';

interface In {
  readonly table: string;
  readonly name: string;
}

/** One element in the bytes of nf_tables. */
export interface EncodedElement {
  readonly key: Uint8Array;
  /** The chain that a verdict map jumps to; undefined in a set, and where it goes. */
  readonly jump: string | undefined;
}

/** A command as nf_tables has it. */
export type EncodedCommand =
  | ({ readonly verb: 'delete set' | 'flush set' | 'delete chain' | 'flush chain' } & In)
  | ({
      readonly verb: 'add set';
      /** The types of the fields of its keys. */
      readonly fields: readonly string[];
      /** Whether it gives verdicts. */
      readonly verdicts: boolean;
      readonly comment: string | undefined;
    } & In)
  | ({ readonly verb: 'add chain'; readonly comment: string | undefined } & In)
  | ({ readonly verb: 'add rule'; readonly rule: EncodedRule } & In)
  /** The rules in their order: the place of one that is there, or one that is to come. */
  | ({ readonly verb: 'edit chain'; readonly held: number; readonly rules: readonly (number | EncodedRule)[] } & In)
  | ({ readonly verb: 'add element' | 'delete element'; readonly elements: readonly EncodedElement[] } & In);

/** Types whose numbers nf_tables is told, and lists again. */
const FIELDS: ReadonlySet<string> = new Set(['ipv4_addr', 'ipv6_addr', 'inet_proto', 'inet_service', 'ifname']);

/** The commands as nf_tables takes them, undefined when there is one that is not encoded here. */
export function encodeCommands(commands: readonly Command[]): readonly EncodedCommand[] | undefined {
  const encoded: EncodedCommand[] = [];
  for (const command of commands) {
    const one = encodeCommand(command);
    if (one === undefined) return undefined;
    encoded.push(one);
  }
  return encoded;
}

function encodeCommand(command: Command): EncodedCommand | undefined {
  switch (command.verb) {
    case 'add table':
    case 'delete table':
      return undefined;
    case 'add set':
      return encodeSet(command);
    case 'add chain': {
      const { verb, table, name, chain } = command;
      return chain.hook === undefined ? { verb, table, name, comment: chain.comment } : undefined;
    }
    case 'add rule': {
      const { verb, table, name } = command;
      const rule = encodeRule(command.rule);
      return rule === undefined ? undefined : { verb, table, name, rule };
    }
    case 'edit chain':
      return encodeEdit(command);
    case 'add element':
    case 'delete element':
      return encodeElements(command);
    case 'delete set':
    case 'flush set':
    case 'delete chain':
    case 'flush chain':
      return { verb: command.verb, table: command.table, name: command.name };
  }
}

function encodeEdit({ verb, table, name, held, rules, kept }: EditCommand): EncodedCommand | undefined {
  const encoded: (number | EncodedRule)[] = [];
  for (const [index, text] of rules.entries()) {
    const rule = kept[index] ?? encodeRule(text);
    if (rule === undefined) return undefined;
    encoded.push(rule);
  }
  return { verb, table, name, held, rules: encoded };
}

function encodeSet({ verb, table, name, set }: Extract<Command, { verb: 'add set' }>): EncodedCommand | undefined {
  const [keys = '', values] = set.type.split(' : ');
  const fields = keys.split(' . ');
  if (set.flags.length > 0 || set.autoMerge || set.each !== undefined) return undefined;
  if ((values !== undefined && values !== 'verdict') || (values === undefined) !== (set.kind === 'set'))
    return undefined;
  if (!fields.every((field) => FIELDS.has(field))) return undefined;
  return { verb, table, name, fields, verdicts: values !== undefined, comment: set.comment };
}

function encodeElements({ verb, table, name, type, elements }: ElementCommand): EncodedCommand | undefined {
  const [keyType = '', valueType] = type?.split(' : ') ?? [];
  if (valueType !== undefined && valueType !== 'verdict') return undefined;
  const encoded: EncodedElement[] = [];
  for (const [text, value] of elements) {
    const key = encodeKey(keyType, text);
    if (key === undefined) return undefined;
    const jump = verb === 'add element' && value.startsWith('jump ') ? value.slice('jump '.length) : undefined;
    // A set gives nothing, a verdict map a chain to jump to; any other verdict is not written by us.
    const wanted = valueType === undefined ? value === '' : jump !== undefined && isName(jump);
    if (verb === 'add element' && !wanted) return undefined;
    encoded.push({ key, jump });
  }
  return { verb, table, name, elements: encoded };
}
