import { NETLINK_NETFILTER } from './netlink.ts';
import { readAttributes, readText } from './netlink-codec.ts';
import type { MessageView } from './netlink-codec.ts';
import { NetlinkMonitor } from './netlink-monitor.ts';

// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NFNLGRP_NFTABLES = 7;
const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_INET = 1;
const NFT_MSG_NEWGEN = 15;
/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE...: whatever a message is about, its table is attribute 1. */
const TABLE_OF_ANYTHING = 1;
const NFTA_GEN_PROC_PID = 2;
const NFTA_GEN_PROC_NAME = 3;
const NFGENMSG_BYTES = 4;

/** Who changed a table. */
export interface Intruder {
  /** The name of its process (at most 15 characters), '' when that is not known. */
  readonly name: string;
  /** As the machine counts, 0 when that is not known. */
  readonly pid: number;
}

/** What a table monitor is told to do. */
export interface TableMonitorOptions {
  /** Of family inet. */
  readonly table: string;
  readonly netns?: string;
  /** Another process has changed the table or anything in it, or may have: then nobody is named. */
  readonly onChanged: (by: Intruder | undefined) => void;
}

/** Tells when another process changes a table of nftables: once for each of its transactions, after its commit. */
export class TableMonitor {
  readonly #monitor: NetlinkMonitor;
  readonly #options: TableMonitorOptions;
  /** Whether the transaction that is being told of concerns the table. */
  #touched = false;

  /** @throws KernelError */
  constructor(options: TableMonitorOptions) {
    this.#options = options;
    this.#monitor = new NetlinkMonitor({
      protocol: NETLINK_NETFILTER,
      groups: [NFNLGRP_NFTABLES],
      netns: options.netns,
      onMessage: (message) => this.#hear(message),
      onLost: () => {
        this.#touched = false;
        options.onChanged(undefined);
      },
    });
  }

  close(): void {
    this.#monitor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #hear({ type, buffer, start, end }: MessageView): void {
    if (type >> 8 !== NFNL_SUBSYS_NFTABLES) return;
    if ((type & 0xff) === NFT_MSG_NEWGEN) {
      const attributes = readAttributes(buffer, start + NFGENMSG_BYTES, end);
      const touched = this.#touched;
      this.#touched = false;
      if (!touched) return;
      const pid = attributes.get(NFTA_GEN_PROC_PID)?.readUInt32BE(0) ?? 0;
      this.#options.onChanged({ name: readText(attributes.get(NFTA_GEN_PROC_NAME)) ?? '', pid });
      return;
    }
    if (this.#touched || buffer[start] !== NFPROTO_INET) return;
    const table = readAttributes(buffer, start + NFGENMSG_BYTES, end).get(TABLE_OF_ANYTHING);
    this.#touched = readText(table) === this.#options.table;
  }
}
