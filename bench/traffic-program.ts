import koffi from 'koffi';
import { createInterface } from 'node:readline';

// Makes or takes TCP traffic over IPv4 by blocking system calls, so that what is measured is the kernel and not a
// program's own work: some 10 % of an exchange's time is spent here, and hardly anything of a bulk's.
//   serve KIND PORT        prints "ready" and answers until it is killed
//   ask                    reads lines `KIND ADDRESS PORT MILLISECONDS`, prints for each the bytes sent, or the
//                          exchanges made, per second
// A bulk is one connection in one direction; an exchange is a connection with 64 bytes each way, which the server
// closes first, so that the one who asks does not run out of ports.

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const BACKLOG = 128;
const BULK_BYTES = 128 * 1024;
const EXCHANGE_BYTES = 64;
const TIMEOUT_SECONDS = 5n;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, const void *, unsigned int)');
const listen = libc.func('int listen(int, int)');
const accept = libc.func('int accept(int, void *, void *)');
const connect = libc.func('int connect(int, const void *, unsigned int)');
const setsockopt = libc.func('int setsockopt(int, int, int, const void *, unsigned int)');
const send = libc.func('intptr_t send(int, const void *, size_t, int)');
const recv = libc.func('intptr_t recv(int, void *, size_t, int)');
const shutdown = libc.func('int shutdown(int, int)');
const close = libc.func('int close(int)');

const bulk = Buffer.alloc(BULK_BYTES, 'romana');
const small = Buffer.alloc(EXCHANGE_BYTES, 'romana');
const timeout = Buffer.alloc(16);
timeout.writeBigInt64LE(TIMEOUT_SECONDS);

const [role, kind, port] = process.argv.slice(2);
if (role === 'serve') serve(kind === 'bulk' ? takeBulk : answer, Number(port));
else {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [what, address = '', toPort, milliseconds] = line.split(' ');
    const ask = what === 'bulk' ? giveBulk : exchange;
    process.stdout.write(`${ask(sockaddr(address, Number(toPort)), Number(milliseconds))}\n`);
  });
}

function serve(take: (connection: number) => void, on: number): never {
  const listener = checked('socket', socket(AF_INET, SOCK_STREAM, 0));
  checked('setsockopt', setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, Buffer.from([1, 0, 0, 0]), 4));
  const at = sockaddr('0.0.0.0', on);
  checked('bind', bind(listener, at, at.length));
  checked('listen', listen(listener, BACKLOG));
  process.stdout.write('ready\n');
  for (;;) {
    const connection = checked('accept', accept(listener, null, null));
    take(connection);
    close(connection);
  }
}

function takeBulk(connection: number): void {
  while ((recv(connection, bulk, bulk.length, 0) as number) > 0);
}

function answer(connection: number): void {
  if ((recv(connection, small, small.length, 0) as number) > 0) send(connection, small, small.length, 0);
}

function giveBulk(to: Buffer, milliseconds: number): number {
  const connection = connected(to);
  const began = performance.now();
  let bytes = 0;
  while (performance.now() - began < milliseconds) {
    bytes += checked('send', send(connection, bulk, bulk.length, 0));
  }
  checked('shutdown', shutdown(connection, 1));
  checked('recv', recv(connection, small, small.length, 0)); // the other has all of it
  const seconds = (performance.now() - began) / 1000;
  close(connection);
  return bytes / seconds;
}

function exchange(to: Buffer, milliseconds: number): number {
  const began = performance.now();
  let count = 0;
  for (; performance.now() - began < milliseconds; count++) {
    const connection = connected(to);
    checked('send', send(connection, small, small.length, 0));
    while (checked('recv', recv(connection, small, small.length, 0)) > 0);
    close(connection);
  }
  return count / ((performance.now() - began) / 1000);
}

function connected(to: Buffer): number {
  const connection = checked('socket', socket(AF_INET, SOCK_STREAM, 0));
  // A packet that is dropped shall end the bench, not halt it.
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) setsockopt(connection, SOL_SOCKET, option, timeout, timeout.length);
  checked('connect', connect(connection, to, to.length));
  return connection;
}

/** `struct sockaddr_in`. */
function sockaddr(address: string, toPort: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET);
  bytes.writeUInt16BE(toPort, 2);
  Buffer.from(address.split('.').map(Number)).copy(bytes, 4);
  return bytes;
}

function checked(what: string, result: unknown): number {
  if (typeof result === 'number' && result >= 0) return result;
  throw new Error(`${what} failed with error ${koffi.errno()}`);
}
