import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import type * as Koffi from 'koffi';
import { KernelError } from './kernel-error.ts';

// Numbers of the Linux ABI, the same on x86_64 and arm64 (asm-generic/socket.h, linux/socket.h, linux/sched.h).
export const AF_INET = 2;
export const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_ATTACH_FILTER = 26;
const SO_RCVBUFFORCE = 33;
const SO_PROTOCOL = 38;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const CLONE_NEWNET = 0x40000000;
const EINTR = constants.errno.EINTR;
const SOCKADDR_NL_BYTES = 12;

/** The calls of glibc that we use; each gives -1 for a failure, and errno then says why. */
interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  send(fd: number, data: Buffer, length: number, flags: number): number;
  recv(fd: number, data: Buffer, length: number, flags: number): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: Buffer): number;
  getsockname(fd: number, address: Buffer, length: Buffer): number;
  attachFilter(fd: number, level: number, option: number, program: FilterProgram, length: number): number;
  pipe2(ends: Buffer, flags: number): number;
  dup3(fd: number, onto: number, flags: number): number;
  setns(fd: number, kind: number): number;
  close(fd: number): number;
}

/** `struct sock_fprog` of linux/filter.h: `len` instructions of eight bytes. */
interface FilterProgram {
  readonly len: number;
  readonly filter: Buffer;
}

type SendAsync = (fd: number, data: Buffer, length: number, flags: number) => Promise<number>;

interface Libc extends Calls {
  sendAsync: SendAsync;
  trimAsync: (pad: number) => Promise<number>;
  errno(): number;
}

/** A pointer of C as koffi hands it out. */
export type Pointer = bigint | null;

/** The calls of libnftables (libnftables(3)). */
export interface LibnftablesCalls {
  nft_ctx_new(flags: number): Pointer;
  nft_ctx_free(context: Pointer): void;
  nft_ctx_set_dry_run(context: Pointer, dry: boolean): void;
  nft_ctx_output_set_flags(context: Pointer, flags: number): void;
  nft_ctx_buffer_output(context: Pointer): number;
  nft_ctx_buffer_error(context: Pointer): number;
  nft_ctx_get_output_buffer(context: Pointer): string;
  nft_ctx_get_error_buffer(context: Pointer): string;
  nft_run_cmd_from_buffer(context: Pointer, text: string): number;
}

let koffiLoaded: typeof Koffi | undefined;
let libcLoaded: Libc | undefined;
let libnftablesLoaded: LibnftablesCalls | undefined;

// Loaded at first use: its native part costs memory and time that the command line's other subcommands should not pay.
function koffi(): typeof Koffi {
  koffiLoaded ??= createRequire(import.meta.url)('koffi') as typeof Koffi;
  return koffiLoaded;
}

function libc(): Libc {
  if (libcLoaded !== undefined) return libcLoaded;
  const native = koffi();
  const library = native.load('libc.so.6');
  const send = library.func('intptr_t send(int, const void *, size_t, int)');
  const trim = library.func('int malloc_trim(size_t)');
  native.struct('sock_fprog', { len: 'uint16_t', filter: 'const void *' });
  libcLoaded = {
    socket: library.func('int socket(int, int, int)'),
    connect: library.func('int connect(int, const void *, unsigned int)'),
    send,
    sendAsync: promisify(send.async) as SendAsync,
    trimAsync: promisify(trim.async) as Libc['trimAsync'],
    recv: library.func('intptr_t recv(int, void *, size_t, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, unsigned int)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    getsockname: library.func('int getsockname(int, void *, void *)'),
    attachFilter: library.func('int setsockopt(int, int, int, const sock_fprog *, unsigned int)'),
    pipe2: library.func('int pipe2(void *, int)'),
    dup3: library.func('int dup3(int, int, int)'),
    setns: library.func('int setns(int, int)'),
    close: library.func('int close(int)'),
    errno: () => native.errno(),
  };
  return libcLoaded;
}

/**
 * libnftables, loaded at the first call.
 *
 * @throws Error when the machine has no libnftables.so.1.
 */
export function libnftables(): LibnftablesCalls {
  if (libnftablesLoaded !== undefined) return libnftablesLoaded;
  const library = koffi().load('libnftables.so.1');
  libnftablesLoaded = {
    nft_ctx_new: library.func('void *nft_ctx_new(uint32_t)'),
    nft_ctx_free: library.func('void nft_ctx_free(void *)'),
    nft_ctx_output_set_flags: library.func('void nft_ctx_output_set_flags(void *, unsigned int)'),
    nft_ctx_set_dry_run: library.func('void nft_ctx_set_dry_run(void *, bool)'),
    nft_ctx_buffer_output: library.func('int nft_ctx_buffer_output(void *)'),
    nft_ctx_buffer_error: library.func('int nft_ctx_buffer_error(void *)'),
    nft_ctx_get_output_buffer: library.func('const char *nft_ctx_get_output_buffer(void *)'),
    nft_ctx_get_error_buffer: library.func('const char *nft_ctx_get_error_buffer(void *)'),
    nft_run_cmd_from_buffer: library.func('int nft_run_cmd_from_buffer(void *, const char *)'),
  };
  return libnftablesLoaded;
}

/** Runs a call again while a signal interrupts it; a failure is thrown as a KernelError that says `what`. */
function checked(what: string, call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const errno = libc().errno();
    if (errno !== EINTR) throw new KernelError(what, errno);
  }
}

/** How a netlink socket is made. */
export interface NetlinkOptions {
  /** What the receive buffer holds, in bytes. */
  readonly receiveBufferBytes: number;
  /** How long a receive waits before it fails with EAGAIN, in milliseconds. */
  readonly receiveTimeoutMs: number;
  /** Numbers of multicast groups to join. */
  readonly groups?: readonly number[];
  /** Whether a receive never waits. */
  readonly nonBlocking?: boolean;
}

/** A file descriptor of a netlink socket that talks with the kernel alone, in this thread's network namespace. */
export function openNetlink(protocol: number, options: NetlinkOptions): number {
  const { socket, connect, setsockopt, close } = libc();
  const type = SOCK_RAW | SOCK_CLOEXEC | (options.nonBlocking === true ? SOCK_NONBLOCK : 0);
  const fd = checked('open a netlink socket', () => socket(AF_NETLINK, type, protocol));
  const set = (name: string, level: number, option: number, value: Buffer): number =>
    checked(`set ${name} of a netlink socket`, () => setsockopt(fd, level, option, value, value.length));
  try {
    set('SO_RCVTIMEO', SOL_SOCKET, SO_RCVTIMEO, timeval(options.receiveTimeoutMs));
    set('SO_RCVBUFFORCE', SOL_SOCKET, SO_RCVBUFFORCE, int32(options.receiveBufferBytes));
    set('NETLINK_EXT_ACK', SOL_NETLINK, NETLINK_EXT_ACK, int32(1));
    set('NETLINK_CAP_ACK', SOL_NETLINK, NETLINK_CAP_ACK, int32(1));
    for (const group of options.groups ?? []) {
      set('NETLINK_ADD_MEMBERSHIP', SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(group));
    }
    // Connected to port 0, the kernel, so that no other process can send us what looks like an answer. (Multicast
    // comes from port 0 as well.)
    const kernel = Buffer.alloc(SOCKADDR_NL_BYTES);
    kernel.writeUInt16LE(AF_NETLINK, 0);
    checked('connect a netlink socket to the kernel', () => connect(fd, kernel, kernel.length));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** Sends one datagram. */
export function send(fd: number, data: Buffer): void {
  checked('send to the kernel', () => libc().send(fd, data, data.length, 0));
}

/** Sends one datagram on another thread: the kernel carries out a netlink request within the call that sends it. */
export async function sendAsync(fd: number, data: Buffer): Promise<void> {
  const sent = await libc().sendAsync(fd, data, data.length, 0);
  // The errno of the other thread is not ours to read; EIO stands for whatever it was.
  if (sent < 0) throw new KernelError('send to the kernel', constants.errno.EIO);
}

/** Receives one datagram into `into`; its length in bytes. Waits as long as the socket's receive timeout. */
export function receive(fd: number, into: Buffer): number {
  return checked('receive from the kernel', () => libc().recv(fd, into, into.length, 0));
}

/**
 * The port by which the kernel calls a netlink socket (`nlmsg_pid` of what it caused), and the socket's protocol;
 * undefined when `fd` is no netlink socket, or nothing at all.
 */
export function netlinkPortOf(fd: number): { readonly protocol: number; readonly port: number } | undefined {
  const { getsockname, getsockopt } = libc();
  const address = Buffer.alloc(SOCKADDR_NL_BYTES);
  if (getsockname(fd, address, int32(address.length)) < 0 || address.readUInt16LE(0) !== AF_NETLINK) return undefined;
  const protocol = Buffer.alloc(4);
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, protocol, int32(protocol.length)) < 0) return undefined;
  return { protocol: protocol.readInt32LE(0), port: address.readUInt32LE(4) };
}

/** Has the kernel drop what a classic BPF program refuses (socket(7)), in place of an earlier one: 8 bytes a step. */
export function attachFilter(fd: number, program: Buffer): void {
  const filter: FilterProgram = { len: program.length / 8, filter: program };
  // `struct sock_fprog` is 16 bytes: a length, and a pointer at its natural place.
  checked('filter a netlink socket', () => libc().attachFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, 16));
}

/** Both ends of a new pipe. */
export function openPipe(): { readonly read: number; readonly write: number } {
  const ends = Buffer.alloc(8);
  checked('open a pipe', () => libc().pipe2(ends, O_CLOEXEC | SOCK_NONBLOCK));
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
}

/** Makes the descriptor `onto` another name of what `fd` is, in place of what it was (dup3(2)). */
export function duplicateOnto(fd: number, onto: number): void {
  checked('duplicate a file descriptor', () => libc().dup3(fd, onto, O_CLOEXEC));
}

/** Closes a file descriptor made here. */
export function closeFd(fd: number): void {
  libc().close(fd);
}

/** Moves the calling thread into the network namespace that `fd` refers to (setns(2)). */
export function setNetworkNamespace(fd: number, what: string): void {
  checked(what, () => libc().setns(fd, CLONE_NEWNET));
}

/**
 * Gives the pages that C code has freed back to the machine, on another thread; glibc would keep them (malloc_trim(3)).
 */
export async function giveBackFreed(): Promise<void> {
  await libc().trimAsync(0);
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
}

/** `struct timeval` of 64-bit Linux. */
function timeval(milliseconds: number): Buffer {
  const buffer = Buffer.alloc(16);
  buffer.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0);
  buffer.writeBigInt64LE(BigInt((milliseconds % 1000) * 1000), 8);
  return buffer;
}
