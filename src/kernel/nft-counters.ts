import { attributesIn, BodyWriter, readAttributes, readNested, readText } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';

// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h; numbers in attributes are in network order.
const NFPROTO_INET = 1;
const NFT_MSG_GETSETELEM = (10 << 8) | 13;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_EXPR = 7;
const NFTA_SET_ELEM_EXPRESSIONS = 11;
const NFTA_DATA_VALUE = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_COUNTER_PACKETS = 2;
const NFGENMSG_BYTES = 4;

/** An element of a set, and how many packets found it. */
export interface CountedElement {
  /** The bytes of its key up to the first zero, as text: an interface's name. */
  readonly name: string;
  readonly packets: number;
}

/** Asks for all elements of a set of family inet. */
export function listElements(table: string, set: string): NetlinkRequest {
  const body = new BodyWriter().u8(NFPROTO_INET).u8(0).u16(0);
  body.attributeText(NFTA_SET_ELEM_LIST_TABLE, table).attributeText(NFTA_SET_ELEM_LIST_SET, set);
  return {
    type: NFT_MSG_GETSETELEM,
    flags: 0,
    body: body.finish(),
    what: `list the elements of set ${set} of inet ${table}`,
  };
}

/** The elements of one message that have a counter: with one statement it stands alone, with more in a list. */
export function decodeCounters({ buffer, start, end }: MessageView): CountedElement[] {
  const list = readAttributes(buffer, start + NFGENMSG_BYTES, end).get(NFTA_SET_ELEM_LIST_ELEMENTS);
  const counted: CountedElement[] = [];
  for (const element of listIn(list)) {
    const attributes = readNested(element);
    const name = readText(readNested(attributes.get(NFTA_SET_ELEM_KEY)).get(NFTA_DATA_VALUE));
    const only = attributes.get(NFTA_SET_ELEM_EXPR);
    const expressions = only === undefined ? listIn(attributes.get(NFTA_SET_ELEM_EXPRESSIONS)) : [only];
    const packets = expressions.map(packetsOf).find((count) => count !== undefined);
    if (name !== undefined && packets !== undefined) counted.push({ name, packets });
  }
  return counted;
}

function listIn(value: Buffer | undefined): Buffer[] {
  if (value === undefined) return [];
  const items: Buffer[] = [];
  for (const [type, item] of attributesIn(value, 0, value.length)) if (type === NFTA_LIST_ELEM) items.push(item);
  return items;
}

function packetsOf(expression: Buffer): number | undefined {
  const attributes = readNested(expression);
  if (readText(attributes.get(NFTA_EXPR_NAME)) !== 'counter') return undefined;
  const packets = readNested(attributes.get(NFTA_EXPR_DATA)).get(NFTA_COUNTER_PACKETS);
  return packets?.length === 8 ? Number(packets.readBigUInt64BE(0)) : undefined;
}
