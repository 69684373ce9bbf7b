import koffi from 'koffi';
import { createInterface } from 'node:readline';
import { withNetns } from '../src/kernel/netns.ts';

// Asks, every quarter of a millisecond, whether a new UDP connection over IPv4 gets to a server: datagrams of sockets of
// their own, from the namespace that it runs in to a socket in another.
//   policy-probe SERVER_NETNS SERVER_ADDRESS PORT     prints "ready"
// For a line `open SOURCE` or `closed SOURCE` it asks until that is so and prints when the first datagram that obeyed
// was sent, in nanoseconds of CLOCK_MONOTONIC.

const AF_INET = 2;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const EVERY_US = 250;
/** What has not arrived after so long is lost. */
const LOST_NS = 30_000_000n;
const GIVE_UP_NS = 20_000_000_000n;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, const void *, unsigned int)');
const sendto = libc.func('intptr_t sendto(int, const void *, size_t, int, const void *, unsigned int)');
const recv = libc.func('intptr_t recv(int, void *, size_t, int)');
const close = libc.func('int close(int)');
const usleep = libc.func('int usleep(unsigned int)');

const [netns = '', server = '', port = ''] = process.argv.slice(2);
const to = sockaddr(server, Number(port));
const taken = withNetns(netns, () => {
  const made = checked('socket', socket(AF_INET, SOCK_DGRAM, 0));
  checked('bind', bind(made, to, to.length));
  return made;
});
const datagram = Buffer.alloc(8);
let number = 0n;

createInterface({ input: process.stdin }).on('line', (line) => {
  const [wanted, source = '0.0.0.0'] = line.split(' ');
  process.stdout.write(`${wanted === 'open' ? untilOpen(source) : untilClosed(source)}\n`);
});
process.stdout.write('ready\n');

function untilOpen(source: string): bigint {
  const before = number;
  const sentAt: bigint[] = [];
  for (const began = now(); now() - began < GIVE_UP_NS;) {
    sentAt.push(ask(source));
    usleep(EVERY_US);
    for (const got of arrived()) if (got > before) return sentAt[Number(got - before) - 1] ?? 0n;
  }
  return 0n;
}

function untilClosed(source: string): bigint {
  let lost: bigint[] = [];
  for (const began = now(); now() - began < GIVE_UP_NS;) {
    lost.push(ask(source));
    usleep(EVERY_US);
    // What came between belongs to the last, or is older: all up to it were not lost.
    const last = arrived().at(-1);
    if (last !== undefined) lost = lost.slice(Math.max(0, lost.length - Number(number - last)));
    const [first] = lost;
    if (first !== undefined && now() - first > LOST_NS) return first;
  }
  return 0n;
}

/** Sends the next datagram. @returns when */
function ask(source: string): bigint {
  number += 1n;
  datagram.writeBigUInt64LE(number);
  const one = checked('socket', socket(AF_INET, SOCK_DGRAM, 0));
  if (source !== '0.0.0.0') bind(one, sockaddr(source, 0), 16);
  const at = now();
  sendto(one, datagram, datagram.length, 0, to, to.length);
  close(one);
  return at;
}

/** The numbers of the datagrams that have come since. */
function arrived(): bigint[] {
  const numbers: bigint[] = [];
  const into = Buffer.alloc(8);
  while (recv(taken, into, into.length, MSG_DONTWAIT) === 8) numbers.push(into.readBigUInt64LE());
  return numbers;
}

function now(): bigint {
  return process.hrtime.bigint();
}

/** `struct sockaddr_in`. */
function sockaddr(address: string, atPort: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET);
  bytes.writeUInt16BE(atPort, 2);
  Buffer.from(address.split('.').map(Number)).copy(bytes, 4);
  return bytes;
}

function checked(what: string, result: unknown): number {
  if (typeof result === 'number' && result >= 0) return result;
  throw new Error(`${what} failed with error ${koffi.errno()}`);
}
