import { readdirSync } from 'node:fs';
import { attachFilter, netlinkPortOf } from './libc.ts';
import { messagesIn } from './netlink-codec.ts';
import type { MessageView } from './netlink-codec.ts';
import { NetlinkStream } from './netlink-stream.ts';

// Classic BPF (linux/filter.h): code, offset if true, offset if false, k. Loads are in network order.
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const ALL = 0xffffffff;
/** Where `nlmsg_pid` is in a message. */
const PORT_AT = 12;
/** More ports than this a process of ours does not have; a jump of BPF reaches 255 steps. */
const MAX_PORTS = 200;

/** What a monitor is told, always from the event loop. */
export interface MonitorOptions {
  /** NETLINK_ROUTE or NETLINK_NETFILTER. */
  readonly protocol: number;
  /** Numbers of multicast groups. */
  readonly groups: readonly number[];
  /** A path or an open descriptor; this thread's own namespace without. */
  readonly netns?: string | number | undefined;
  /** One message that this process did not cause, whose memory is only valid meanwhile. */
  readonly onMessage: (message: MessageView) => void;
  /** More happened than the socket could hold (ENOBUFS), so that anything may have. */
  readonly onLost: () => void;
}

/**
 * Listens to what others change in the kernel. What this process itself changes, which is nearly all of it, the kernel
 * does not even deliver: each notification carries the port of the socket that caused it, and a filter in the kernel
 * drops those of our own.
 */
export class NetlinkMonitor {
  readonly #options: MonitorOptions;
  #ports: ReadonlySet<number> = new Set();
  /** The port of somebody else that was heard last. */
  #stranger = 0;
  #stream: NetlinkStream | undefined;

  /** @throws KernelError */
  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#open();
  }

  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): void {
    const { protocol, groups, netns } = this.#options;
    this.#stream = new NetlinkStream({
      protocol,
      groups,
      netns,
      onDatagram: (datagram) => this.#hear(datagram),
      onLost: () => this.#recover(),
    });
    this.#learnOwnPorts(this.#stream.fd);
  }

  #hear(datagram: Buffer): void {
    for (const message of messagesIn(datagram, datagram.length)) {
      if (!this.#isOwn(message.port)) this.#options.onMessage(message);
    }
  }

  #isOwn(port: number): boolean {
    if (port === 0 || port === this.#stranger) return false;
    // The process may have got another socket since: libnftables opens its own anew when a list was interrupted.
    if (!this.#ports.has(port)) this.#learnOwnPorts(this.#stream?.fd);
    if (this.#ports.has(port)) return true;
    this.#stranger = port;
    return false;
  }

  /** Notes which sockets are our own, and tells the kernel when they are others than before. */
  #learnOwnPorts(fd: number | undefined): void {
    const ports = ownPorts(this.#options.protocol);
    if (fd === undefined || (ports.size === this.#ports.size && ports.isSubsetOf(this.#ports))) return;
    this.#ports = ports;
    attachFilter(fd, allBut([...ports].slice(0, MAX_PORTS)));
  }

  #recover(): void {
    if (this.#stream === undefined) return;
    this.#ports = new Set();
    this.#open();
    this.#options.onLost();
  }
}

/** The ports of this process's sockets of a netlink protocol. */
function ownPorts(protocol: number): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const name of readdirSync('/proc/self/fd')) {
    const found = netlinkPortOf(Number(name));
    if (found?.protocol === protocol) ports.add(found.port);
  }
  return ports;
}

/** A program that refuses datagrams whose first message one of `ports` caused, and with it all of them. */
function allBut(ports: readonly number[]): Buffer {
  const steps = [
    step(LOAD_WORD, 0, 0, PORT_AT),
    ...ports.map((port, index) => step(JUMP_IF_EQUAL, ports.length - index, 0, swapped(port))),
    step(RETURN, 0, 0, ALL),
    step(RETURN, 0, 0, 0),
  ];
  return Buffer.concat(steps);
}

function step(code: number, ifTrue: number, ifFalse: number, k: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(k >>> 0, 4);
  return bytes;
}

/** A number in this machine's order as BPF reads it. */
function swapped(value: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes.readUInt32BE(0);
}
