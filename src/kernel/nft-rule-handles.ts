import { BodyWriter, readAttributes, readText } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';

// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NFPROTO_INET = 1;
const NFT_MSG_GETRULE = (10 << 8) | 7;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFGENMSG_BYTES = 4;

/** By what the kernel knows a rule, as it writes it: 8 bytes in network order. */
export type RuleHandle = Buffer;

/** Asks for the rules of a chain of family inet, in their order. */
export function listRules(table: string, chain: string): NetlinkRequest {
  const body = new BodyWriter().u8(NFPROTO_INET).u8(0).u16(0);
  body.attributeText(NFTA_RULE_TABLE, table).attributeText(NFTA_RULE_CHAIN, chain);
  return { type: NFT_MSG_GETRULE, flags: 0, body: body.finish(), what: `list chain inet ${table} ${chain}` };
}

/** The handle of a rule that is one of `chain`: kernels that know no filter of dumps tell the rules of all chains. */
export function decodeHandle(
  { buffer, start, end }: MessageView,
  table: string,
  chain: string,
): RuleHandle | undefined {
  const attributes = readAttributes(buffer, start + NFGENMSG_BYTES, end);
  if (readText(attributes.get(NFTA_RULE_TABLE)) !== table || readText(attributes.get(NFTA_RULE_CHAIN)) !== chain) {
    return undefined;
  }
  const handle = attributes.get(NFTA_RULE_HANDLE);
  // The buffer is the next datagram's, too.
  return handle === undefined ? undefined : Buffer.from(handle);
}
