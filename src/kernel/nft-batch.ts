import type { Command } from '../nft/command.ts';
import { isKernelError } from './kernel-error.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from './netlink.ts';
import type { NetlinkRequest } from './netlink-codec.ts';
import { type CountedElement, decodeCounters, listElements } from './nft-counters.ts';
import { commandRequests, header } from './nft-requests.ts';
import { decodeHandle, listRules } from './nft-rule-handles.ts';
import type { RuleHandle } from './nft-rule-handles.ts';

// linux/netfilter/nfnetlink.h. The resource of a batch is the subsystem that it is for.
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;

/**
 * Changes of tables of family inet, straight over nf_tables netlink: one send and one receive. libnftables lists the
 * table before each change. Measured for one element in a table of 10, 100 and 1,000 chains and sets: 0.12, 0.28 and
 * 3.1 ms by text; here 0.02 ms in any, and into a verdict map, for which the kernel walks all rules in search of loops,
 * 0.03, 0.04 and 0.17 ms. Of a chain that is there the new rules alone are written: the kernel looks for the set that a rule
 * names among all of the table's, so that a chain of 80 rules costs 5 ms in one of 1,000 sets, and an edit of one 1 ms.
 */
export class NftBatch {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens it for this thread's network namespace, or for `netns` (a path or an open descriptor). */
  static open(options: { readonly netns?: string | number } = {}): NftBatch {
    return new NftBatch(NetlinkSocket.open(NETLINK_NETFILTER, options));
  }

  /**
   * Carries out all commands, in their order, or none.
   *
   * @returns false, with nothing done, when there is one that is not encoded here, or they are too many for one message.
   * @throws KernelError of the first that the kernel refused: ENOENT when what it names or deletes is not there, EEXIST
   *   when what it adds is.
   */
  run(commands: readonly Command[]): boolean {
    const requests = commandRequests(commands, (table, chain) => this.#handles(table, chain));
    if (requests === undefined) return false;
    if (requests.length === 0) return true;
    const what = `commit ${requests.length} changes of nftables`;
    try {
      this.#socket.transaction(boundary(NFNL_MSG_BATCH_BEGIN, what), requests, boundary(NFNL_MSG_BATCH_END, what));
    } catch (error) {
      if (isKernelError(error, 'EMSGSIZE')) return false;
      throw error;
    }
    return true;
  }

  /**
   * What the kernel has counted in the elements of a set that is declared with `counter`.
   *
   * @throws KernelError: ENOENT when the table or the set is not there.
   */
  counters(table: string, set: string): readonly CountedElement[] {
    return this.#socket.dump(listElements(table, set), decodeCounters).flat();
  }

  #handles(table: string, chain: string): readonly RuleHandle[] {
    return this.#socket.dump(listRules(table, chain), (message) => decodeHandle(message, table, chain));
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function boundary(type: number, what: string): NetlinkRequest {
  return { type, flags: 0, body: header(0, NFNL_SUBSYS_NFTABLES).finish(), what };
}
