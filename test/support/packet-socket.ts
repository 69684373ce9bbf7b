import { constants } from 'node:os';
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import type { TestNetns } from './netns.ts';
import { onOneCpu } from './one-cpu.ts';

// linux/if_packet.h, linux/if_ether.h
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const ETH_P_ALL = 0x0003;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;
const MAX_FRAME_BYTES = 65_536;

interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  send(fd: number, data: Buffer, length: number, flags: number): number;
  recv(fd: number, into: Buffer, length: number, flags: number): number;
  close(fd: number): number;
  errno(): number;
}

let loaded: Calls | undefined;

function libc(): Calls {
  if (loaded !== undefined) return loaded;
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load('libc.so.6');
  loaded = {
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, const void *, unsigned int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, unsigned int)'),
    send: library.func('intptr_t send(int, const void *, size_t, int)'),
    recv: library.func('intptr_t recv(int, void *, size_t, int)'),
    close: library.func('int close(int)'),
    errno: () => koffi.errno(),
  };
  return loaded;
}

/** Whole frames in and out of one interface (packet(7)), as a process with NET_RAW has them. */
export class PacketSocket {
  readonly #fd: number;
  /** Of the interface. */
  readonly mac: string;

  private constructor(fd: number, mac: string) {
    this.#fd = fd;
    this.mac = mac;
  }

  /** Opens it for an interface of `ns`; it hears only what comes in. */
  static open(ns: TestNetns, ifname: string): PacketSocket {
    using rtnl = Rtnl.open({ netns: ns.path });
    const link = rtnl.link(ifname);
    if (link === undefined) throw new Error(`${ns.name} has no interface ${ifname}`);
    return ns.inside(() => {
      const fd = check('open a packet socket', libc().socket(AF_PACKET, SOCK_RAW, 0));
      try {
        setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
        // struct sockaddr_ll; the protocol in network order, which starts the hearing.
        const address = Buffer.alloc(20);
        address.writeUInt16LE(AF_PACKET, 0);
        address.writeUInt16BE(ETH_P_ALL, 2);
        address.writeInt32LE(link.index, 4);
        check(`bind a packet socket to ${ifname}`, libc().bind(fd, address, address.length));
        return new PacketSocket(fd, link.mac);
      } catch (error) {
        libc().close(fd);
        throw error;
      }
    });
  }

  send(frame: Buffer): void {
    check(
      'send a frame',
      onOneCpu(() => libc().send(this.#fd, frame, frame.length, 0)),
    );
  }

  /** The frames that have come in since the last call. */
  received(): Buffer[] {
    const frames: Buffer[] = [];
    const into = Buffer.alloc(MAX_FRAME_BYTES);
    for (;;) {
      const length = libc().recv(this.#fd, into, into.length, MSG_DONTWAIT);
      if (length < 0 && libc().errno() === constants.errno.EAGAIN) return frames;
      // An interface that has gone down says so once, to everybody who listens.
      if (length < 0 && libc().errno() === constants.errno.ENETDOWN) continue;
      frames.push(Buffer.from(into.subarray(0, check('receive a frame', length))));
    }
  }

  close(): void {
    libc().close(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function setOption(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check(`set option ${option} of a packet socket`, libc().setsockopt(fd, level, option, bytes, bytes.length));
}

function check(what: string, result: number): number {
  if (result >= 0) return result;
  throw new Error(`could not ${what}: errno ${libc().errno()}`);
}
