import type { Expression, MachineRule, RuleVerdict } from '../nft/machine.ts';
import { readAttributes, readNested, readText } from './netlink-codec.ts';

// linux/netfilter/nf_tables.h; numbers in attributes are in network order.
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_RULE_USERDATA = 7;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
/** Of registers as they are written, those of 16 bytes come first, then those of four. */
const NFT_REG_4 = 4;
const NFT_REG32_00 = 8;
const NFT_LOOKUP_F_INV = 1;
const NFTA_FIB_F_PRESENT = 1 << 5;
/** Of libnftnl: the comment of a rule or a chain is the first of the types in its user data. */
const UDATA_COMMENT = 0;

/** By number; the names are those of nft(8). */
export const META_KEYS: ReadonlyMap<number, string> = new Map([
  [1, 'protocol'],
  [3, 'mark'],
  [4, 'iif'],
  [5, 'oif'],
  [6, 'iifname'],
  [7, 'oifname'],
  [15, 'nfproto'],
  [16, 'l4proto'],
]);
const CT_KEYS: ReadonlyMap<number, string> = new Map([
  [0, 'state'],
  [1, 'direction'],
  [2, 'status'],
  [3, 'mark'],
]);
const VERDICTS: ReadonlyMap<number, 'accept' | 'drop' | 'continue' | 'break' | 'return' | 'jump' | 'goto'> = new Map([
  [0, 'drop'],
  [1, 'accept'],
  [-1, 'continue'],
  [-2, 'break'],
  [-3, 'jump'],
  [-4, 'goto'],
  [-5, 'return'],
]);
const COMPARISONS = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte'] as const;
const HEADERS = ['other', 'network', 'transport'] as const;
/** They decide nothing about a packet, nor what becomes of it. */
const EFFECTS: ReadonlySet<string> = new Set(['counter', 'log', 'notrack', 'dynset', 'last', 'dup']);

type Attributes = ReadonlyMap<number, Buffer>;

/** A rule from the attributes of an NFT_MSG_NEWRULE. What they hold is copied. */
export function decodeRule(attributes: Attributes): MachineRule {
  return {
    handle: Number(attributes.get(NFTA_RULE_HANDLE)?.readBigUInt64BE(0) ?? 0n),
    comment: commentIn(attributes.get(NFTA_RULE_USERDATA)),
    expressions: listOf(attributes.get(NFTA_RULE_EXPRESSIONS)).map((item) => {
      const expression = readNested(item);
      const name = readText(expression.get(NFTA_EXPR_NAME)) ?? '';
      return decodeExpression(name, readNested(expression.get(NFTA_EXPR_DATA)));
    }),
  };
}

/** The comment in the user data of a rule or a chain: a list of type, length and value; '' when there is none. */
export function commentIn(userdata: Buffer | undefined): string {
  if (userdata === undefined) return '';
  for (let at = 0; at + 2 <= userdata.length;) {
    const length = userdata[at + 1] ?? 0;
    if (userdata[at] === UDATA_COMMENT) return readText(userdata.subarray(at + 2, at + 2 + length)) ?? '';
    at += 2 + length;
  }
  return '';
}

/** The verdict in an attribute of type NFTA_DATA_*; undefined of a value. */
export function decodeVerdict(data: Buffer | undefined): RuleVerdict | undefined {
  const verdict = readNested(data).get(NFTA_DATA_VERDICT);
  if (verdict === undefined) return undefined;
  const attributes = readNested(verdict);
  const kind = VERDICTS.get((attributes.get(NFTA_VERDICT_CODE)?.readInt32BE(0) ?? 0) | 0);
  if (kind === 'jump' || kind === 'goto') return { kind, chain: readText(attributes.get(NFTA_VERDICT_CHAIN)) ?? '' };
  return kind === undefined ? undefined : { kind };
}

/** The attributes of a nested list, in their order. */
export function listOf(list: Buffer | undefined): readonly Buffer[] {
  const items: Buffer[] = [];
  if (list === undefined) return items;
  for (let at = 0; at + 4 <= list.length;) {
    const bytes = list.readUInt16LE(at);
    if (bytes < 4) break;
    items.push(list.subarray(at + 4, at + bytes));
    at += (bytes + 3) & ~3;
  }
  return items;
}

function decodeExpression(name: string, data: Attributes): Expression {
  const number = (type: number): number => numberIn(data.get(type)) ?? 0;
  const value = (type: number): Uint8Array =>
    Uint8Array.from(readAttributesOf(data.get(type)).get(NFTA_DATA_VALUE) ?? []);
  const unknown: Expression = { op: 'unknown', name };
  switch (name) {
    case 'meta':
    case 'ct': {
      const key = (name === 'meta' ? META_KEYS : CT_KEYS).get(number(2));
      // Without a register to load into, it is one that sets something.
      if (!data.has(1)) return { op: 'effect' };
      return { op: name, key: key ?? `key ${number(2)}`, to: register(number(1)) };
    }
    case 'payload':
      if (!data.has(1)) return unknown;
      return {
        op: 'payload',
        base: HEADERS[number(2)] ?? 'other',
        offset: number(3),
        length: number(4),
        to: register(number(1)),
      };
    case 'bitwise':
      // Other operations than masking (NFTA_BITWISE_OP) are none of ours.
      if (number(6) !== 0) return unknown;
      return { op: 'bitwise', from: register(number(1)), to: register(number(2)), mask: value(4), xor: value(5) };
    case 'byteorder':
      return {
        op: 'byteorder',
        from: register(number(1)),
        to: register(number(2)),
        length: number(4),
        unit: number(5),
      };
    case 'cmp':
      return {
        op: 'compare',
        from: register(number(1)),
        relation: COMPARISONS[number(2)] ?? 'eq',
        data: value(3),
      };
    case 'range':
      return {
        op: 'range',
        from: register(number(1)),
        relation: number(2) === 0 ? 'eq' : 'neq',
        low: value(3),
        high: value(4),
      };
    case 'lookup': {
      // Values of maps that are no verdicts are none of ours.
      if (data.has(3) && number(3) !== 0) return unknown;
      return {
        op: 'lookup',
        set: readText(data.get(1)) ?? '',
        from: register(number(2)),
        inverse: (number(5) & NFT_LOOKUP_F_INV) !== 0,
        verdict: data.has(3),
      };
    }
    case 'immediate': {
      const verdict = number(1) === 0 ? decodeVerdict(data.get(2)) : undefined;
      return verdict === undefined ? unknown : { op: 'verdict', verdict };
    }
    case 'fib':
      return (number(3) & NFTA_FIB_F_PRESENT) === 0 ? unknown : { op: 'reverse-path', to: register(number(1)) };
    default:
      return EFFECTS.has(name) ? { op: 'effect' } : unknown;
  }
}

/** The word that a register begins with (nft_parse_register). */
function register(number: number): number {
  return number <= NFT_REG_4 ? number * 4 : number + NFT_REG_4 - NFT_REG32_00;
}

function numberIn(value: Buffer | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : value.readUInt32BE(0);
}

function readAttributesOf(value: Buffer | undefined): Attributes {
  return value === undefined ? new Map() : readAttributes(value, 0, value.length);
}
