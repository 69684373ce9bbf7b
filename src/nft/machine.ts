/** What nf_tables does after a rule: go on, call another chain, or end (linux/netfilter/nf_tables.h). */
export type RuleVerdict =
  | { readonly kind: 'accept' | 'drop' | 'continue' | 'break' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

/** A place in the registers of nf_tables: an index of 32-bit words. */
type Register = number;

/** One instruction of a rule, as the kernel has it. Bytes of packets and addresses are in network order. */
export type Expression =
  | { readonly op: 'meta'; readonly key: string; readonly to: Register }
  | { readonly op: 'ct'; readonly key: string; readonly to: Register }
  | {
      readonly op: 'payload';
      readonly base: 'network' | 'transport' | 'other';
      readonly offset: number;
      readonly length: number;
      readonly to: Register;
    }
  | {
      readonly op: 'bitwise';
      readonly from: Register;
      readonly to: Register;
      readonly mask: Uint8Array;
      readonly xor: Uint8Array;
    }
  | {
      readonly op: 'byteorder';
      readonly from: Register;
      readonly to: Register;
      readonly length: number;
      readonly unit: number;
    }
  | {
      readonly op: 'compare';
      readonly from: Register;
      readonly relation: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte';
      readonly data: Uint8Array;
    }
  | {
      readonly op: 'range';
      readonly from: Register;
      readonly relation: 'eq' | 'neq';
      readonly low: Uint8Array;
      readonly high: Uint8Array;
    }
  /** A set that has to hold, or not to hold, what is in the registers; of a map, `verdict` says that it gives one. */
  | {
      readonly op: 'lookup';
      readonly set: string;
      readonly from: Register;
      readonly inverse: boolean;
      readonly verdict: boolean;
    }
  | { readonly op: 'verdict'; readonly verdict: RuleVerdict }
  /** The way back to the packet's source: a register gets 1 where it is the interface that it came by. */
  | { readonly op: 'reverse-path'; readonly to: Register }
  /** Counts, logs or notes something, and decides nothing. */
  | { readonly op: 'effect' }
  | { readonly op: 'unknown'; readonly name: string };

/** A rule of a chain. */
export interface MachineRule {
  readonly handle: number;
  /** '' where it has none. */
  readonly comment: string;
  readonly expressions: readonly Expression[];
}

/** A table that can be walked. */
export interface MachineTable {
  /** In their order; undefined when there is no such chain. */
  rules(chain: string): readonly MachineRule[] | undefined;
  /** The bytes of the keys of a set. */
  keyBytes(set: string): number;
  /** What a set has for a key, of a map with its verdict; undefined when it has nothing. */
  element(set: string, key: Uint8Array): { readonly verdict?: RuleVerdict } | undefined;
}

/** The first packet of a connection. Values that the kernel has as numbers are in the machine's byte order. */
export interface MachinePacket {
  /** What `meta` loads, by the names of nft(8); what is missing nobody knows. */
  readonly meta: ReadonlyMap<string, Uint8Array>;
  readonly ct: ReadonlyMap<string, Uint8Array>;
  /** From the first byte of the IP header, and of what it carries. */
  readonly network: Uint8Array;
  readonly transport: Uint8Array;
}

/** A rule that a packet met and that did something with it. */
export interface Step {
  readonly chain: string;
  readonly rule: MachineRule;
  /** From 1. */
  readonly position: number;
  /** What it did. */
  readonly verdict: RuleVerdict;
  /** The map that said so. */
  readonly map?: string;
}

/** How a packet went through a base chain. */
export interface Walk {
  /** `end`: no rule decided, so that the policy of the base chain does. `unknown`: a rule can't be told. */
  readonly verdict: 'accept' | 'drop' | 'end' | 'unknown';
  /** In their order; of `unknown` the last one is the rule that can't be told. */
  readonly steps: readonly Step[];
  /** Why it can't be told. */
  readonly why?: string;
}

/** Jumps may nest so deep (NFT_JUMP_STACK_SIZE). */
const MAX_DEPTH = 16;
/** Loops are refused by the kernel; this is against tables that change while they are read. */
const MAX_STEPS = 4_096;

/**
 * What the kernel does with the first packet of a connection in a base chain: the rules' instructions are carried out
 * one by one, as nft_do_chain() does.
 *
 * @param options.skip maps that are passed over as if they had nothing.
 */
export function walk(
  table: MachineTable,
  chain: string,
  packet: MachinePacket,
  options: { readonly skip?: (map: string) => boolean } = {},
): Walk {
  const steps: Step[] = [];
  const back: { readonly chain: string; readonly next: number }[] = [];
  let at = { chain, next: 0 };
  for (;;) {
    const rules = table.rules(at.chain);
    if (rules === undefined) return { verdict: 'unknown', steps, why: `there is no chain ${at.chain}` };
    const rule = rules[at.next];
    if (rule === undefined) {
      const caller = back.pop();
      if (caller === undefined) return { verdict: 'end', steps };
      at = caller;
      continue;
    }
    const position = at.next + 1;
    at = { chain: at.chain, next: position };
    const outcome = runRule(table, rule, packet, options.skip ?? ((): boolean => false));
    if (typeof outcome === 'string') {
      steps.push({ chain: at.chain, rule, position, verdict: { kind: 'continue' } });
      return { verdict: 'unknown', steps, why: outcome };
    }
    const { verdict, map } = outcome;
    if (verdict.kind === 'continue' || verdict.kind === 'break') continue;
    steps.push({ chain: at.chain, rule, position, verdict, ...(map === undefined ? {} : { map }) });
    if (steps.length > MAX_STEPS) return { verdict: 'unknown', steps, why: 'the rules do not come to an end' };
    if (verdict.kind === 'accept' || verdict.kind === 'drop') return { verdict: verdict.kind, steps };
    if ('chain' in verdict) {
      if (verdict.kind === 'jump' && back.push(at) > MAX_DEPTH) {
        return { verdict: 'unknown', steps, why: 'jumps nest too deep' };
      }
      at = { chain: verdict.chain, next: 0 };
      continue;
    }
    const caller = back.pop();
    if (caller === undefined) return { verdict: 'end', steps };
    at = caller;
  }
}

interface Outcome {
  readonly verdict: RuleVerdict;
  readonly map?: string;
}

const BREAK: Outcome = { verdict: { kind: 'break' } };
const CONTINUE: Outcome = { verdict: { kind: 'continue' } };
/** 16 registers of 32 bits, behind the one for verdicts. */
const REGISTER_BYTES = 20 * 4;

/** What a rule does; why it can't be told where it has an instruction that is not known and would decide something. */
function runRule(
  table: MachineTable,
  rule: MachineRule,
  packet: MachinePacket,
  skip: (map: string) => boolean,
): Outcome | string {
  if (!rule.expressions.some(decides)) return CONTINUE;
  const registers = new Uint8Array(REGISTER_BYTES);
  for (const expression of rule.expressions) {
    const outcome = runExpression(expression, { table, registers, packet, skip });
    if (outcome !== undefined) return outcome;
  }
  return CONTINUE;
}

function decides(expression: Expression): boolean {
  return expression.op === 'verdict' || (expression.op === 'lookup' && expression.verdict);
}

interface Running {
  readonly table: MachineTable;
  readonly registers: Uint8Array;
  readonly packet: MachinePacket;
  readonly skip: (map: string) => boolean;
}

/** Undefined: the next instruction is carried out. */
function runExpression(expression: Expression, running: Running): Outcome | string | undefined {
  const { registers, packet } = running;
  switch (expression.op) {
    case 'verdict':
      return { verdict: expression.verdict };
    case 'effect':
      return undefined;
    case 'reverse-path':
      return store(registers, expression.to, Uint8Array.of(1));
    case 'meta':
    case 'ct': {
      const value = packet[expression.op].get(expression.key);
      return value === undefined
        ? `${expression.op} ${expression.key} is not known`
        : store(registers, expression.to, value);
    }
    case 'payload': {
      if (expression.base === 'other') return 'it looks at more than headers';
      const header = packet[expression.base];
      const { offset, length } = expression;
      // The kernel ends a rule that reads behind the end of a packet.
      if (offset + length > header.length) return BREAK;
      return store(registers, expression.to, header.subarray(offset, offset + length));
    }
    case 'bitwise': {
      const { from, to, mask, xor } = expression;
      const value = load(registers, from, mask.length);
      return store(
        registers,
        to,
        value.map((byte, i) => (byte & (mask[i] ?? 0)) ^ (xor[i] ?? 0)),
      );
    }
    case 'byteorder':
      return store(registers, expression.to, swapped(load(registers, expression.from, expression.length), expression));
    case 'compare':
      return holds(compare(load(registers, expression.from, expression.data.length), expression.data), expression)
        ? undefined
        : BREAK;
    case 'range': {
      const value = load(registers, expression.from, expression.low.length);
      const inside = compare(value, expression.low) >= 0 && compare(value, expression.high) <= 0;
      return inside === (expression.relation === 'eq') ? undefined : BREAK;
    }
    case 'lookup':
      return lookUp(expression, running);
    case 'unknown':
      return `it has the instruction ${expression.name}, which is not known here`;
  }
}

function lookUp(
  { set, from, inverse, verdict }: Extract<Expression, { op: 'lookup' }>,
  { table, registers, skip }: Running,
): Outcome | undefined {
  const found = verdict && skip(set) ? undefined : table.element(set, load(registers, from, table.keyBytes(set)));
  if ((found !== undefined) === inverse) return BREAK;
  return found?.verdict === undefined ? undefined : { verdict: found.verdict, map: set };
}

/** Fills the last word with zeros, as the kernel does. */
function store(registers: Uint8Array, to: Register, value: Uint8Array): undefined {
  const start = to * 4;
  registers.fill(0, start, start + Math.ceil(value.length / 4) * 4);
  registers.set(value, start);
  return undefined;
}

function load(registers: Uint8Array, from: Register, length: number): Uint8Array {
  return registers.slice(from * 4, from * 4 + length);
}

function swapped(value: Uint8Array, { unit }: { readonly unit: number }): Uint8Array {
  const bytes = value.slice();
  for (let at = 0; at + unit <= bytes.length; at += unit) bytes.subarray(at, at + unit).reverse();
  return bytes;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (const [i, byte] of a.entries()) {
    const difference = byte - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function holds(difference: number, { relation }: Extract<Expression, { op: 'compare' }>): boolean {
  switch (relation) {
    case 'eq':
      return difference === 0;
    case 'neq':
      return difference !== 0;
    case 'lt':
      return difference < 0;
    case 'lte':
      return difference <= 0;
    case 'gt':
      return difference > 0;
    case 'gte':
      return difference >= 0;
  }
}
