import type { MessageView, NetlinkRequest } from './netlink-codec.ts';
import { BodyWriter, readAttributes, readNested, readText } from './netlink-codec.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from './netlink.ts';

// linux/netfilter/nf_tables.h; numbers in attributes are in network order.
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 3;
const NFT_MSG_GETCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 4;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_USE = 6;
const NFTA_HOOK_HOOKNUM = 1;
/** Bytes of `struct nfgenmsg`. */
const HEADER_BYTES = 4;
const NFPROTO_UNSPEC = 0;
// linux/netfilter.h
const NF_DROP = 0;
const NF_INET_FORWARD = 2;
const FAMILIES: ReadonlyMap<number, string> = new Map([
  [1, 'inet'],
  [2, 'ip'],
  [10, 'ip6'],
]);

/** A chain that the kernel itself calls for packets that it forwards. */
export interface ForwardChain {
  /** As nft(8) names it: `inet`, `ip` or `ip6`. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** What becomes of a packet that no rule of it decides. */
  readonly policy: 'accept' | 'drop';
  /** How many rules it has. */
  readonly rules: number;
}

/**
 * The chains on the forward hook of this thread's network namespace, or of `netns` (a path or an open descriptor),
 * everybody's: only what they are is read, never their rules. Those of iptables-legacy are not among them.
 *
 * @throws KernelError
 */
export function forwardChains(options: { readonly netns?: string | number } = {}): readonly ForwardChain[] {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER, options);
  return socket.dump(LIST_CHAINS, decodeForwardChain);
}

const LIST_CHAINS: NetlinkRequest = {
  type: NFT_MSG_GETCHAIN,
  flags: 0,
  body: new BodyWriter().u8(NFPROTO_UNSPEC).u8(0).u16(0).finish(),
  what: 'list the chains of nftables',
};

function decodeForwardChain({ type, buffer, start, end }: MessageView): ForwardChain | undefined {
  const family = FAMILIES.get(buffer[start] ?? 0);
  if (type !== NFT_MSG_NEWCHAIN || family === undefined) return undefined;
  const attributes = readAttributes(buffer, start + HEADER_BYTES, end);
  const hook = readNested(attributes.get(NFTA_CHAIN_HOOK));
  if (readBigU32(hook.get(NFTA_HOOK_HOOKNUM)) !== NF_INET_FORWARD) return undefined;
  return {
    family,
    table: readText(attributes.get(NFTA_CHAIN_TABLE)) ?? '',
    name: readText(attributes.get(NFTA_CHAIN_NAME)) ?? '',
    policy: readBigU32(attributes.get(NFTA_CHAIN_POLICY)) === NF_DROP ? 'drop' : 'accept',
    rules: readBigU32(attributes.get(NFTA_CHAIN_USE)) ?? 0,
  };
}

function readBigU32(value: Buffer | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : value.readUInt32BE(0);
}
