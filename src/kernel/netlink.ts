import { constants } from 'node:os';
import { isKernelError, KernelError, errnoName } from './kernel-error.ts';
import { closeFd, openNetlink, receive, send, sendAsync } from './libc.ts';
import {
  align,
  frame,
  HEADER_BYTES,
  messagesIn,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  readError,
} from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';
import { withNetns } from './netns.ts';

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const RECEIVE_TIMEOUT_MS = 5_000;
/** The kernel fills at most 32 KiB per receive of a dump; single messages (a link with all its statistics) stay below. */
const DATAGRAM_BYTES = 256 * 1024;
/** A send must fit the socket's send buffer, 208 KiB by default. */
const MAX_SEND_BYTES = 64 * 1024;
const MAX_TRANSACTION_BYTES = 192 * 1024;
const MAX_DUMP_ATTEMPTS = 8;

let datagramBuffer: Buffer | undefined;

// One for all sockets: whatever is received is read before anything else runs.
function datagram(): Buffer {
  datagramBuffer ??= Buffer.allocUnsafeSlow(DATAGRAM_BYTES);
  return datagramBuffer;
}

/** Decodes one message in place, whose memory is only valid meanwhile; undefined leaves it out. */
export type Decode<T> = (message: MessageView) => T | undefined;

/** A request's answers that are no acknowledgement, with the index of the request that they answer. */
export type OnReply = (message: MessageView, index: number) => void;

/**
 * A synchronous netlink socket. The kernel carries out a request within the `send` that brings it, so that an answer
 * is there when `send` returns; nothing here waits for anything but the kernel's own locks.
 */
export class NetlinkSocket {
  readonly #fd: number;
  #sequence = 0;
  #closed = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Opens a socket in this thread's network namespace, or in `netns` (a path or an open descriptor): a socket stays in
   * the namespace where it was made.
   *
   * @throws KernelError
   */
  static open(protocol: number, { netns }: { readonly netns?: string | number } = {}): NetlinkSocket {
    const open = (): number =>
      openNetlink(protocol, { receiveBufferBytes: RECEIVE_BUFFER_BYTES, receiveTimeoutMs: RECEIVE_TIMEOUT_MS });
    return new NetlinkSocket(netns === undefined ? open() : withNetns(netns, open));
  }

  /** To make requests over a socket that is somebody else's to close, as long as nobody else reads from it. */
  static over(fd: number): Pick<NetlinkSocket, 'batch'> {
    return new NetlinkSocket(fd);
  }

  /**
   * Sends all `requests` at once and reads what came of each. It is no transaction: the kernel carries out every
   * request, also those after one that failed.
   *
   * @throws KernelError of the first request that failed for a reason that it does not tolerate.
   */
  batch(requests: readonly NetlinkRequest[], onReply?: OnReply): void {
    let first: KernelError | undefined;
    for (const chunk of this.#frameAll(requests)) {
      send(this.#fd, chunk.bytes);
      const failed = this.#collect(requests, chunk, { onReply });
      first ??= failed;
    }
    if (first !== undefined) throw first;
  }

  /**
   * Sends `requests` between the `begin` and `end` of a batch of nfnetlink: all of them or none. A failure of `begin` is
   * one of the whole, which the kernel may find as late as when it commits (nfnetlink_rcv_batch of nfnetlink.c).
   *
   * @throws KernelError of the first request that failed; EMSGSIZE when all does not fit one datagram of 192 KiB.
   */
  transaction(begin: NetlinkRequest, requests: readonly NetlinkRequest[], end: NetlinkRequest): void {
    const said = [begin, ...requests];
    // The kernel reports failures in order, those too that no acknowledgement was asked of, so that of the last ends
    // the list. Before 6.10 it had none for the end.
    const frames = said.map((request, index) =>
      frame(request, this.#nextSequence(), index === requests.length ? NLM_F_ACK : 0),
    );
    const lastSequence = this.#sequence;
    const bytes = Buffer.concat([...frames, frame(end, this.#nextSequence(), 0)]);
    if (bytes.length > MAX_TRANSACTION_BYTES) {
      throw new KernelError(begin.what, constants.errno.EMSGSIZE, `${bytes.length} bytes in one transaction`);
    }
    send(this.#fd, bytes);
    const failed = this.#collect(said, { from: 0, count: said.length, lastSequence }, { whole: true });
    if (failed !== undefined) throw failed;
  }

  /**
   * `batch` for what takes the kernel long (it removes a link in 25 ms): it runs on another thread. Nothing else may
   * use this socket meanwhile.
   */
  async batchAsync(requests: readonly NetlinkRequest[], onReply?: OnReply): Promise<void> {
    let first: KernelError | undefined;
    for (const chunk of this.#frameAll(requests)) {
      await sendAsync(this.#fd, chunk.bytes);
      const failed = this.#collect(requests, chunk, { onReply });
      first ??= failed;
    }
    if (first !== undefined) throw first;
  }

  /**
   * Asks for a list. The kernel says when the list changed while it wrote it; then it is read again.
   *
   * @throws KernelError
   */
  dump<T>(request: NetlinkRequest, decode: Decode<T>): T[] {
    for (let attempt = 1; ; attempt += 1) {
      const answer = this.#dumpOnce(request, decode);
      // The last attempt's answer is used as it is: a list that changes all the time is never the same twice anyway.
      if (answer.consistent || attempt === MAX_DUMP_ATTEMPTS) return answer.items;
    }
  }

  /** Closes the socket; a second time does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The requests as datagrams that the kernel takes at once; only the last of each asks for an acknowledgement. */
  #frameAll(requests: readonly NetlinkRequest[]): Chunk[] {
    const chunks: Chunk[] = [];
    let frames: Buffer[] = [];
    let bytes = 0;
    let from = 0;
    for (const [index, request] of requests.entries()) {
      const next = requests[index + 1];
      const size = frameBytes(request);
      const last = next === undefined || bytes + size + frameBytes(next) > MAX_SEND_BYTES;
      frames.push(frame(request, this.#nextSequence(), last ? NLM_F_ACK : 0));
      bytes += size;
      if (!last) continue;
      chunks.push({ bytes: Buffer.concat(frames), from, lastSequence: this.#sequence, count: frames.length });
      frames = [];
      bytes = 0;
      from = index + 1;
    }
    return chunks;
  }

  /**
   * Reads until the acknowledgement of the chunk's last request; the first failure that is not tolerated.
   *
   * @param options.whole that the first request is about all of them: when it failed, there may be no word on the others.
   */
  #collect(
    requests: readonly NetlinkRequest[],
    chunk: Omit<Chunk, 'bytes'>,
    { onReply, whole = false }: { readonly onReply?: OnReply | undefined; readonly whole?: boolean },
  ): KernelError | undefined {
    let first: KernelError | undefined;
    for (;;) {
      const length = this.#receive(requests[chunk.from]?.what ?? 'talk to the kernel');
      for (const message of messagesIn(datagram(), length)) {
        const back = (chunk.lastSequence - message.sequence) >>> 0;
        // An answer to an earlier request, whose sender gave up.
        if (back >= chunk.count) continue;
        const index = chunk.from + chunk.count - 1 - back;
        if (message.type === NLMSG_ERROR) {
          first ??= failure(requests[index], message);
          if (back === 0 || (whole && index === 0)) return first;
        } else {
          onReply?.(message, index);
        }
      }
    }
  }

  #dumpOnce<T>(request: NetlinkRequest, decode: Decode<T>): { readonly items: T[]; readonly consistent: boolean } {
    const sequence = this.#nextSequence();
    const items: T[] = [];
    let consistent = true;
    send(this.#fd, frame(request, sequence, NLM_F_DUMP));
    for (;;) {
      const length = this.#receive(request.what);
      for (const message of messagesIn(datagram(), length)) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) consistent = false;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const failed = failure(request, message);
          if (failed !== undefined) throw failed;
          return { items, consistent };
        }
        const item = decode(message);
        if (item !== undefined) items.push(item);
      }
    }
  }

  #receive(what: string): number {
    try {
      return receive(this.#fd, datagram());
    } catch (error) {
      if (!isKernelError(error, 'EAGAIN')) throw error;
      throw new KernelError(what, constants.errno.ETIMEDOUT, `no answer in ${RECEIVE_TIMEOUT_MS} ms`, { cause: error });
    }
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }
}

interface Chunk {
  readonly bytes: Buffer;
  /** The index of its first request. */
  readonly from: number;
  readonly count: number;
  readonly lastSequence: number;
}

function frameBytes(request: NetlinkRequest): number {
  return HEADER_BYTES + align(request.body.length);
}

function failure(request: NetlinkRequest | undefined, message: MessageView): KernelError | undefined {
  const { errno, said } = readError(message);
  if (errno === 0) return undefined;
  if (request?.tolerate?.includes(errnoName(errno)) === true) return undefined;
  return new KernelError(request?.what ?? 'talk to the kernel', errno, said);
}
