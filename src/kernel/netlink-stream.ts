import { Socket } from 'node:net';
import { closeFd, duplicateOnto, openNetlink, openPipe } from './libc.ts';
import { withNetns } from './netns.ts';

const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** What a stream is of, and whom it tells, always from the event loop. */
export interface NetlinkStreamOptions {
  /** NETLINK_ROUTE or NETLINK_NETFILTER. */
  readonly protocol: number;
  /** Numbers of multicast groups. */
  readonly groups: readonly number[];
  /** A path or an open descriptor; this thread's own namespace without. */
  readonly netns?: string | number | undefined;
  /** Called with the descriptor before anything is read from it. What it throws, the constructor throws. */
  readonly prepare?: (fd: number) => void;
  readonly onDatagram: (datagram: Buffer) => void;
  /** There is no more to come: more was sent than the socket could hold (ENOBUFS), so that some is lost. */
  readonly onLost: () => void;
}

/**
 * What the kernel sends to a netlink socket of its own accord, one datagram a chunk, until it was more than the socket
 * could hold.
 *
 * Node can wait for files of its own kinds only, and netlink is none of them; a thread that waits in `recv` would be
 * one of libuv's four, and hold up the end of the process. So Node is given a pipe, and before it begins to wait, the
 * descriptor is made one of the netlink socket: from then on it is read as any stream is.
 */
export class NetlinkStream {
  readonly #socket: Socket;
  readonly fd: number;

  /** @throws KernelError, and what `prepare` throws */
  constructor({ protocol, groups, netns, prepare, onDatagram, onLost }: NetlinkStreamOptions) {
    const open = (): number =>
      openNetlink(protocol, {
        receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        receiveTimeoutMs: 0,
        groups,
        nonBlocking: true,
      });
    const fd = netns === undefined ? open() : withNetns(netns, open);
    try {
      prepare?.(fd);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    const pipe = openPipe();
    this.#socket = new Socket({ fd: pipe.read, readable: true, writable: false });
    duplicateOnto(fd, pipe.read);
    closeFd(pipe.write);
    closeFd(fd);
    this.fd = pipe.read;
    this.#socket.on('data', onDatagram);
    // A stream of Node's ends with the first error.
    this.#socket.on('error', onLost);
  }

  close(): void {
    this.#socket.destroy();
  }
}
