import { ANONYMOUS } from '../nft/encode-rule.ts';
import type { Expression, RuleVerdict } from '../nft/machine.ts';
import type { BodyWriter } from './netlink-codec.ts';
import { META_KEYS } from './nft-expressions.ts';
import { userData } from './nft-user-data.ts';

// linux/netfilter/nf_tables.h; numbers in attributes are in network order.
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
const NFTA_META_DREG = 1;
const NFTA_META_KEY = 2;
const NFTA_PAYLOAD_DREG = 1;
const NFTA_PAYLOAD_BASE = 2;
const NFTA_PAYLOAD_OFFSET = 3;
const NFTA_PAYLOAD_LEN = 4;
const NFTA_BITWISE_SREG = 1;
const NFTA_BITWISE_DREG = 2;
const NFTA_BITWISE_LEN = 3;
const NFTA_BITWISE_MASK = 4;
const NFTA_BITWISE_XOR = 5;
const NFTA_BITWISE_OP = 6;
const NFTA_CMP_SREG = 1;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFTA_LOOKUP_SET = 1;
const NFTA_LOOKUP_SREG = 2;
const NFTA_LOOKUP_SET_ID = 4;
const NFTA_LOOKUP_FLAGS = 5;
const NFTA_IMMEDIATE_DREG = 1;
const NFTA_IMMEDIATE_DATA = 2;
const NFT_LOOKUP_F_INV = 1;
const NFT_BITWISE_MASK_XOR = 0;
const NFT_REG_VERDICT = 0;
const NFT_REG_4 = 4;
const NFT_REG32_00 = 8;

const META_NUMBERS: ReadonlyMap<string, number> = new Map(Array.from(META_KEYS, ([number, name]) => [name, number]));
const BASES = { network: 1, transport: 2 } as const;
const RELATIONS = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const;
const VERDICTS = { drop: 0, accept: 1, continue: -1, break: -2, jump: -3, goto: -4, return: -5 } as const;
/** The type of a comment in the user data of a rule or a chain. */
const UDATA_COMMENT = 0;

/**
 * Writes the expressions of a rule as a list.
 *
 * @param setId of the set in braces, within the batch.
 * @throws RangeError for an expression that `encodeRule` does not make: a bug
 */
export function writeExpressions(body: BodyWriter, expressions: readonly Expression[], setId: number): void {
  for (const expression of expressions) {
    body.nested(NFTA_LIST_ELEM, () => {
      body.attributeText(NFTA_EXPR_NAME, kernelName(expression));
      body.nested(NFTA_EXPR_DATA, () => writeExpression(body, expression, setId));
    });
  }
}

/** Writes a verdict as NFTA_DATA_VERDICT. */
export function writeVerdict(body: BodyWriter, verdict: RuleVerdict): void {
  body.nested(NFTA_DATA_VERDICT, () => {
    body.attributeBe32(NFTA_VERDICT_CODE, VERDICTS[verdict.kind]);
    if ('chain' in verdict) body.attributeText(NFTA_VERDICT_CHAIN, verdict.chain);
  });
}

/** The user data of a rule or a chain that has a comment, of at most 254 bytes. */
export function commentData(comment: string): Buffer {
  return userData(UDATA_COMMENT, Buffer.from(`${comment}\0`));
}

function kernelName(expression: Expression): string {
  if (expression.op === 'compare') return 'cmp';
  return expression.op === 'verdict' ? 'immediate' : expression.op;
}

function writeExpression(body: BodyWriter, expression: Expression, setId: number): void {
  const value = (type: number, bytes: Uint8Array): BodyWriter =>
    body.nested(type, () => body.attribute(NFTA_DATA_VALUE, bytes));
  switch (expression.op) {
    case 'meta':
      body.attributeBe32(NFTA_META_KEY, META_NUMBERS.get(expression.key) ?? unknown(expression));
      body.attributeBe32(NFTA_META_DREG, register(expression.to));
      return;
    case 'payload':
      if (expression.base === 'other') unknown(expression);
      body.attributeBe32(NFTA_PAYLOAD_DREG, register(expression.to));
      body.attributeBe32(NFTA_PAYLOAD_BASE, BASES[expression.base]);
      body.attributeBe32(NFTA_PAYLOAD_OFFSET, expression.offset).attributeBe32(NFTA_PAYLOAD_LEN, expression.length);
      return;
    case 'bitwise':
      body.attributeBe32(NFTA_BITWISE_SREG, register(expression.from));
      body.attributeBe32(NFTA_BITWISE_DREG, register(expression.to));
      body.attributeBe32(NFTA_BITWISE_OP, NFT_BITWISE_MASK_XOR);
      body.attributeBe32(NFTA_BITWISE_LEN, expression.mask.length);
      value(NFTA_BITWISE_MASK, expression.mask);
      value(NFTA_BITWISE_XOR, expression.xor);
      return;
    case 'compare':
      body.attributeBe32(NFTA_CMP_SREG, register(expression.from));
      body.attributeBe32(NFTA_CMP_OP, RELATIONS[expression.relation]);
      value(NFTA_CMP_DATA, expression.data);
      return;
    case 'lookup':
      if (expression.verdict) unknown(expression);
      body.attributeText(NFTA_LOOKUP_SET, expression.set);
      body.attributeBe32(NFTA_LOOKUP_SREG, register(expression.from));
      if (expression.set === ANONYMOUS) body.attributeBe32(NFTA_LOOKUP_SET_ID, setId);
      if (expression.inverse) body.attributeBe32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
      return;
    case 'verdict':
      body.attributeBe32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      body.nested(NFTA_IMMEDIATE_DATA, () => writeVerdict(body, expression.verdict));
      return;
    case 'ct':
    case 'byteorder':
    case 'range':
    case 'reverse-path':
    case 'effect':
    case 'unknown':
      unknown(expression);
  }
}

/** The number that nft_parse_register() makes this word of. */
function register(word: number): number {
  return word % 4 === 0 ? word / 4 : word - NFT_REG_4 + NFT_REG32_00;
}

function unknown({ op }: Expression): never {
  throw new RangeError(`the expression ${op} is not encoded`);
}
