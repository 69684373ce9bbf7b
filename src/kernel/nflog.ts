import { NETLINK_NETFILTER, NetlinkSocket } from './netlink.ts';
import { messagesIn } from './netlink-codec.ts';
import { NetlinkStream } from './netlink-stream.ts';
import { bindRequest, decodeLogged } from './nflog-codec.ts';
import type { LoggedPacket } from './nflog-codec.ts';

export type { LoggedPacket } from './nflog-codec.ts';

/** Which packets are listened to, and whom they are told, always from the event loop. */
export interface NflogOptions {
  /** The number of the group, from 0 to 65535. */
  readonly group: number;
  /** A path or an open descriptor; this thread's own namespace without. */
  readonly netns?: string | number | undefined;
  readonly onPacket: (packet: LoggedPacket) => void;
  /** So many packets, one at least, were told of and did not get here. */
  readonly onLost: (count: number) => void;
  /** The group is not listened to any more: it was lost after a loss of packets, and somebody else has it now. */
  readonly onEnded: (error: Error) => void;
}

/** Listens to one group of NFLOG, which one socket at a time can do. */
export class Nflog {
  readonly #options: NflogOptions;
  #stream: NetlinkStream | undefined;
  /** The number that the next packet should have; undefined before the first one. */
  #next: number | undefined;

  /** @throws KernelError: EPERM or EBUSY when somebody else listens to the group */
  constructor(options: NflogOptions) {
    this.#options = options;
    this.#stream = this.#open();
  }

  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): NetlinkStream {
    const { group, netns } = this.#options;
    return new NetlinkStream({
      protocol: NETLINK_NETFILTER,
      groups: [],
      netns,
      prepare: (fd) => NetlinkSocket.over(fd).batch([bindRequest(group)]),
      onDatagram: (datagram) => this.#hear(datagram),
      onLost: () => this.#recover(),
    });
  }

  #hear(datagram: Buffer): void {
    for (const message of messagesIn(datagram, datagram.length)) {
      const { packet, sequence } = decodeLogged(message);
      if (sequence !== undefined) this.#count(sequence);
      if (packet !== undefined) this.#options.onPacket(packet);
    }
  }

  #count(sequence: number): void {
    const missing = this.#next === undefined ? 0 : (sequence - this.#next) >>> 0;
    this.#next = (sequence + 1) >>> 0;
    if (missing > 0) this.#options.onLost(missing);
  }

  /** The group goes with its socket, and its numbers begin anew. */
  #recover(): void {
    if (this.#stream === undefined) return;
    this.#stream.close();
    this.#stream = undefined;
    this.#next = undefined;
    this.#options.onLost(1);
    try {
      this.#stream = this.#open();
    } catch (error) {
      this.#options.onEnded(error as Error);
    }
  }
}
