import type { MachineRule, MachineTable, RuleVerdict } from '../nft/machine.ts';
import { isKernelError } from './kernel-error.ts';
import { BodyWriter, readAttributes, readNested, readText } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from './netlink.ts';
import { commentIn, decodeRule, decodeVerdict, listOf } from './nft-expressions.ts';

// linux/netfilter/nf_tables.h; numbers in attributes are in network order.
const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_INET = 1;
const NFT_MSG_NEWCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 3;
const NFT_MSG_GETCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 4;
const NFT_MSG_GETRULE = (NFNL_SUBSYS_NFTABLES << 8) | 7;
const NFT_MSG_GETSET = (NFNL_SUBSYS_NFTABLES << 8) | 10;
const NFT_MSG_GETSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 13;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_CHAIN_USERDATA = 12;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_KEY_LEN = 5;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NF_DROP = 0;
/** Bytes of `struct nfgenmsg`. */
const HEADER_BYTES = 4;
/** linux/netfilter.h, enum nf_inet_hooks. */
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;

/** A chain as the kernel has it. */
export interface TableChain {
  readonly name: string;
  /** '' where it has none. */
  readonly comment: string;
  /** Of a base chain. */
  readonly hook?: {
    readonly type: string;
    readonly name: (typeof HOOKS)[number];
    readonly priority: number;
    /** What becomes of a packet that no rule decides. */
    readonly policy: 'accept' | 'drop';
  };
}

/**
 * A table of family inet as the kernel has it at each question, asked straight over nf_tables netlink: what is asked for
 * alone is read, and elements are looked up by the kernel itself, so that it costs the same in tables of any size.
 */
export class NftTable implements MachineTable {
  readonly #socket: NetlinkSocket;
  readonly #table: string;

  private constructor(socket: NetlinkSocket, table: string) {
    this.#socket = socket;
    this.#table = table;
  }

  /** Opens it for this thread's network namespace, or for `netns` (a path or an open descriptor). */
  static open(table: string, options: { readonly netns?: string | number } = {}): NftTable {
    return new NftTable(NetlinkSocket.open(NETLINK_NETFILTER, options), table);
  }

  /** The chains of the table, none when there is no such table. @throws KernelError */
  chains(): readonly TableChain[] {
    const request = this.#request(NFT_MSG_GETCHAIN, `list the chains of inet ${this.#table}`, () => undefined);
    return this.#socket.dump(request, (message) => {
      if (message.type !== NFT_MSG_NEWCHAIN) return undefined;
      const attributes = attributesOf(message);
      return readText(attributes.get(NFTA_CHAIN_TABLE)) === this.#table ? decodeChain(attributes) : undefined;
    });
  }

  /** @throws KernelError */
  rules(chain: string): readonly MachineRule[] | undefined {
    const request = this.#request(NFT_MSG_GETRULE, `list chain inet ${this.#table} ${chain}`, (body) => {
      body.attributeText(NFTA_RULE_TABLE, this.#table).attributeText(NFTA_RULE_CHAIN, chain);
    });
    try {
      // Kernels that know no filter of dumps tell the rules of all chains.
      return this.#socket.dump(request, (message) => {
        const attributes = attributesOf(message);
        const [table, name] = [NFTA_RULE_TABLE, NFTA_RULE_CHAIN].map((type) => readText(attributes.get(type)));
        return table === this.#table && name === chain ? decodeRule(attributes) : undefined;
      });
    } catch (error) {
      if (isKernelError(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** @throws KernelError ENOENT when there is no such set. */
  keyBytes(set: string): number {
    let bytes = 0;
    const request = this.#request(NFT_MSG_GETSET, `describe set inet ${this.#table} ${set}`, (body) => {
      body.attributeText(NFTA_SET_TABLE, this.#table).attributeText(NFTA_SET_NAME, set);
    });
    this.#socket.batch([request], (message) => {
      bytes = attributesOf(message).get(NFTA_SET_KEY_LEN)?.readUInt32BE(0) ?? 0;
    });
    return bytes;
  }

  /** @throws KernelError */
  element(set: string, key: Uint8Array): { readonly verdict?: RuleVerdict } | undefined {
    let found: { readonly verdict?: RuleVerdict } | undefined;
    const request = this.#request(NFT_MSG_GETSETELEM, `get an element of inet ${this.#table} ${set}`, (body) => {
      body.attributeText(NFTA_SET_ELEM_LIST_TABLE, this.#table).attributeText(NFTA_SET_ELEM_LIST_SET, set);
      body.nested(NFTA_SET_ELEM_LIST_ELEMENTS, () => {
        body.nested(NFTA_LIST_ELEM, () => {
          body.nested(NFTA_SET_ELEM_KEY, () => body.attribute(NFTA_DATA_VALUE, key));
        });
      });
    });
    this.#socket.batch([{ ...request, tolerate: ['ENOENT'] }], (message) => {
      const [element] = listOf(attributesOf(message).get(NFTA_SET_ELEM_LIST_ELEMENTS));
      const verdict = decodeVerdict(readNested(element).get(NFTA_SET_ELEM_DATA));
      found = verdict === undefined ? {} : { verdict };
    });
    return found;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #request(type: number, what: string, fill: (body: BodyWriter) => void): NetlinkRequest {
    const body = new BodyWriter().u8(NFPROTO_INET).u8(0).u16(0);
    fill(body);
    return { type, flags: 0, body: body.finish(), what };
  }
}

function attributesOf({ buffer, start, end }: MessageView): Map<number, Buffer> {
  return readAttributes(buffer, start + HEADER_BYTES, end);
}

function decodeChain(attributes: ReadonlyMap<number, Buffer>): TableChain {
  const chain = {
    name: readText(attributes.get(NFTA_CHAIN_NAME)) ?? '',
    comment: commentIn(attributes.get(NFTA_CHAIN_USERDATA)),
  };
  const hook = attributes.get(NFTA_CHAIN_HOOK);
  const number = readNested(hook).get(NFTA_HOOK_HOOKNUM)?.readUInt32BE(0);
  const name = number === undefined ? undefined : HOOKS[number];
  if (name === undefined) return chain;
  return {
    ...chain,
    hook: {
      type: readText(attributes.get(NFTA_CHAIN_TYPE)) ?? '',
      name,
      priority: readNested(hook).get(NFTA_HOOK_PRIORITY)?.readInt32BE(0) ?? 0,
      policy: attributes.get(NFTA_CHAIN_POLICY)?.readUInt32BE(0) === NF_DROP ? 'drop' : 'accept',
    },
  };
}
