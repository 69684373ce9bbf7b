// The format of netlink messages: linux/netlink.h. Numbers are in the machine's byte order, little-endian on every
// machine that we run on, except where a protocol says otherwise.

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const HEADER_BYTES = 16;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;

/** One request to the kernel, without what its socket adds. */
export interface NetlinkRequest {
  readonly type: number;
  /** NLM_F_* beside REQUEST, ACK and DUMP. */
  readonly flags: number;
  /** The family's fixed header and the attributes. */
  readonly body: Buffer;
  /** What it does, for errors alone, e.g. `add route 10.1.0.0/16 via 192.168.99.11`. */
  readonly what: string;
  /** Names of errnos that are as good as success, e.g. ESRCH of a deletion. */
  readonly tolerate?: readonly string[];
}

/** Writes a message's body: numbers of the fixed header, then attributes. */
export class BodyWriter {
  #buffer = Buffer.alloc(192);
  #length = 0;

  u8(value: number): this {
    this.#reserve(1);
    this.#length = this.#buffer.writeUInt8(value, this.#length);
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16LE(value, this.#length);
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value >>> 0, this.#length);
    return this;
  }

  /** An attribute, padded to four bytes. */
  attribute(type: number, value: Uint8Array): this {
    this.#attributeHeader(type, value.length);
    this.#buffer.set(value, this.#length);
    this.#length += align(value.length);
    return this;
  }

  attributeU8(type: number, value: number): this {
    this.#attributeHeader(type, 1);
    this.#buffer[this.#length] = value;
    this.#length += 4;
    return this;
  }

  attributeU32(type: number, value: number): this {
    this.#attributeHeader(type, 4);
    return this.u32(value);
  }

  /** A number in network order. */
  attributeBe32(type: number, value: number): this {
    this.#attributeHeader(type, 4);
    this.#length = this.#buffer.writeUInt32BE(value >>> 0, this.#length);
    return this;
  }

  /** A text with its closing NUL, as names of interfaces are. */
  attributeText(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`, 'utf8'));
  }

  /** An attribute that holds what `fill` writes. */
  nested(type: number, fill: () => void): this {
    const start = this.#length;
    this.#attributeHeader(type | NLA_F_NESTED, 0);
    fill();
    this.#buffer.writeUInt16LE(this.#length - start, start);
    return this;
  }

  /** What was written. The writer is not to be used after it. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #attributeHeader(type: number, valueBytes: number): void {
    this.#reserve(4 + align(valueBytes));
    this.#buffer.writeUInt16LE(4 + valueBytes, this.#length);
    this.#buffer.writeUInt16LE(type, this.#length + 2);
    this.#length += 4;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.alloc(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(grown);
    this.#buffer = grown;
  }
}

/** Rounds a length up to the four bytes that messages and attributes are aligned to. */
export function align(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** The bytes of a whole message. */
export function frame(request: NetlinkRequest, sequence: number, extraFlags: number): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + align(request.body.length));
  message.writeUInt32LE(HEADER_BYTES + request.body.length, 0);
  message.writeUInt16LE(request.type, 4);
  message.writeUInt16LE(request.flags | NLM_F_REQUEST | extraFlags, 6);
  message.writeUInt32LE(sequence, 8);
  message.set(request.body, HEADER_BYTES);
  return message;
}

/** One message in a buffer that was received; valid until the next receive. */
export interface MessageView {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of the socket that asked for it, or caused what it tells of; 0 is the kernel itself. */
  readonly port: number;
  readonly buffer: Buffer;
  /** Where the body begins and ends in `buffer`. */
  readonly start: number;
  readonly end: number;
}

/** The messages of one datagram of `length` bytes. */
export function* messagesIn(buffer: Buffer, length: number): Generator<MessageView, void> {
  let at = 0;
  while (at + HEADER_BYTES <= length) {
    const bytes = buffer.readUInt32LE(at);
    if (bytes < HEADER_BYTES || at + bytes > length) {
      throw new Error(`a netlink message of ${bytes} bytes does not fit at ${at} in a datagram of ${length} bytes`);
    }
    yield {
      type: buffer.readUInt16LE(at + 4),
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      port: buffer.readUInt32LE(at + 12),
      buffer,
      start: at + HEADER_BYTES,
      end: at + bytes,
    };
    at += align(bytes);
  }
}

/** The attributes between two places of a buffer, by type; the last of a type wins. Values share the buffer's memory. */
export function readAttributes(buffer: Buffer, start: number, end: number): Map<number, Buffer> {
  return new Map(attributesIn(buffer, start, end));
}

/** The same one after the other: a list is attributes of one type. */
export function* attributesIn(
  buffer: Buffer,
  start: number,
  end: number,
): Generator<[type: number, value: Buffer], void> {
  let at = start;
  while (at + 4 <= end) {
    const bytes = buffer.readUInt16LE(at);
    if (bytes < 4 || at + bytes > end) return;
    yield [buffer.readUInt16LE(at + 2) & NLA_TYPE_MASK, buffer.subarray(at + 4, at + bytes)];
    at += align(bytes);
  }
}

/** The attributes nested in `value`, none when there is no value. */
export function readNested(value: Buffer | undefined): Map<number, Buffer> {
  return value === undefined ? new Map() : readAttributes(value, 0, value.length);
}

/** A number of four bytes, or undefined. */
export function readU32(value: Buffer | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : value.readUInt32LE(0);
}

/** A text that ends with a NUL, or undefined. */
export function readText(value: Buffer | undefined): string | undefined {
  if (value === undefined) return undefined;
  const nul = value.indexOf(0);
  return value.toString('utf8', 0, nul < 0 ? value.length : nul);
}

/** What an NLMSG_ERROR (or the end of a dump) says: a positive errno, 0 for an acknowledgement, and the kernel's words. */
export function readError(message: MessageView): { readonly errno: number; readonly said: string } {
  const { buffer, start, end, flags } = message;
  if (end - start < 4) return { errno: 0, said: '' };
  const errno = -buffer.readInt32LE(start);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, said: '' };
  let at = start + 4;
  if (message.type === NLMSG_ERROR) {
    // The header of the request follows, and its body unless the kernel left it out (NETLINK_CAP_ACK).
    const echoed = (flags & NLM_F_CAPPED) !== 0 ? HEADER_BYTES : align(buffer.readUInt32LE(start + 4));
    at += echoed;
  }
  return { errno, said: readText(readAttributes(buffer, at, end).get(NLMSGERR_ATTR_MSG)) ?? '' };
}
