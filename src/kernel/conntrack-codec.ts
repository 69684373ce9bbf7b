import type { Address, Family } from '../addr/address.ts';
import { addressAt, addressToBytes, familyNumber, familyOfNumber } from './address-bytes.ts';
import { align, BodyWriter } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';

// linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h. Numbers within attributes are in network order, except the flags
// of a filter. Attributes are read by hand, without objects between, for the sake of tables with 100,000 entries.
const SUBSYSTEM = 1 << 8;
const CT_NEW = SUBSYSTEM;
const CT_GET = SUBSYSTEM | 1;
const CT_DELETE = SUBSYSTEM | 2;
const CT_GET_STATS = SUBSYSTEM | 5;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_MARK = 8;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
const FILTER_SRC = 1;
const FILTER_DST = 2;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_PROTO_ICMP_ID = 4;
const CTA_PROTO_ICMPV6_ID = 7;
const CTA_STATS_GLOBAL_ENTRIES = 1;
const TYPE_MASK = 0x3fff;
const GENERIC_HEADER_BYTES = 4;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

/** One direction of a connection. */
export interface ConntrackTuple {
  readonly src: Address;
  readonly dst: Address;
  /** 0 for protocols without ports. */
  readonly sport: number;
  readonly dport: number;
}

/** A connection that the kernel follows. */
export interface ConntrackEntry {
  readonly family: Family;
  /** The IP protocol number: 6 TCP, 17 UDP, 132 SCTP, 1 ICMP, 58 ICMPv6, ... */
  readonly protocol: number;
  /** As the first packet came, before any translation. */
  readonly orig: ConntrackTuple;
  /** As replies come: `reply.src` is the destination after DNAT, `reply.dst` the source after SNAT. */
  readonly reply: ConntrackTuple;
  readonly mark: number;
  /** Tells this connection from a later one with the same addresses and ports. */
  readonly id: number;
  /** Of ICMP and ICMPv6, in the original direction. */
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
  /** Left out in the usual zone 0. */
  readonly zone?: number;
}

/** Where in an entry an address may stand. */
export type AddressPlace = 'orig.src' | 'orig.dst' | 'reply.src' | 'reply.dst';

/** Asks for all entries of a family, of both by default (a dump). */
export function listEntries(family?: Family): NetlinkRequest {
  return request(CT_GET, header(family), 'list the connections');
}

/** Asks for the entries that have `address` in one place; kernels before 5.8 give all others as well. */
export function listEntriesOf(address: Address, family: Family, place: AddressPlace): NetlinkRequest {
  const body = header(family);
  const isOriginal = place.startsWith('orig');
  const isSource = place.endsWith('src');
  body.nested(isOriginal ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY, () => {
    body.nested(CTA_TUPLE_IP, () => body.attribute(ipAttribute(family, isSource), addressToBytes(address)));
  });
  const flags = isSource ? FILTER_SRC : FILTER_DST;
  body.nested(CTA_FILTER, () => {
    body.attributeU32(CTA_FILTER_ORIG_FLAGS, isOriginal ? flags : 0);
    body.attributeU32(CTA_FILTER_REPLY_FLAGS, isOriginal ? 0 : flags);
  });
  return request(CT_GET, body, `list the connections of ${address}`);
}

/** Asks how many entries there are; the reply is for `decodeCount`. */
export function countEntries(): NetlinkRequest {
  return request(CT_GET_STATS, header(undefined), 'count the connections');
}

/** Sets the bits of `mask` in an entry's mark to those of `value`; an entry that has ended is left in peace. */
export function markEntry(entry: ConntrackEntry, value: number, mask: number): NetlinkRequest {
  const body = referTo(entry)
    .attribute(CTA_MARK, be32(value & mask))
    .attribute(CTA_MARK_MASK, be32(mask));
  return { ...request(CT_NEW, body, `mark the connection ${formatEntry(entry)}`), tolerate: ['ENOENT'] };
}

/** Removes an entry; one that has ended, also if another took its place, counts as removed. */
export function removeEntry(entry: ConntrackEntry): NetlinkRequest {
  const body = referTo(entry).attribute(CTA_ID, be32(entry.id));
  return { ...request(CT_DELETE, body, `remove the connection ${formatEntry(entry)}`), tolerate: ['ENOENT'] };
}

/** An entry as a person would write it. */
export function formatEntry({ protocol, orig }: ConntrackEntry): string {
  return `${orig.src} ${orig.sport} -> ${orig.dst} ${orig.dport} (protocol ${protocol})`;
}

/** The number of entries from the reply to `countEntries`. */
export function decodeCount({ buffer, start, end }: MessageView): number | undefined {
  let count: number | undefined;
  eachAttribute(buffer, start + GENERIC_HEADER_BYTES, end, (type, from) => {
    if (type === CTA_STATS_GLOBAL_ENTRIES) count = buffer.readUInt32BE(from);
  });
  return count;
}

/** Decodes entries and keeps the texts of addresses that come again, for one listing. */
export class EntryDecoder {
  readonly #ipv4 = new Map<number, Address>();
  readonly #ipv6 = new Map<string, Address>();

  /** An entry from a message; undefined for families other than IPv4 and IPv6. */
  readonly decode = ({ buffer, start, end }: MessageView): ConntrackEntry | undefined => {
    const family = familyOfNumber(buffer[start] ?? 0);
    if (family === undefined) return undefined;
    let orig: Direction | undefined;
    let reply: Direction | undefined;
    let mark = 0;
    let id = 0;
    let zone = 0;
    eachAttribute(buffer, start + GENERIC_HEADER_BYTES, end, (type, from, to) => {
      if (type === CTA_TUPLE_ORIG) orig = this.#direction(buffer, from, to, family);
      else if (type === CTA_TUPLE_REPLY) reply = this.#direction(buffer, from, to, family);
      else if (type === CTA_MARK) mark = buffer.readUInt32BE(from);
      else if (type === CTA_ID) id = buffer.readUInt32BE(from);
      else if (type === CTA_ZONE) zone = buffer.readUInt16BE(from);
    });
    if (orig === undefined || reply === undefined) return undefined;
    return {
      family,
      protocol: orig.protocol,
      orig: orig.tuple,
      reply: reply.tuple,
      mark,
      id,
      ...(orig.icmp === undefined ? {} : { icmp: orig.icmp }),
      ...(zone === 0 ? {} : { zone }),
    };
  };

  #direction(buffer: Buffer, start: number, end: number, family: Family): Direction {
    let src = '' as Address;
    let dst = '' as Address;
    let protocol = 0;
    const ports: number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    eachAttribute(buffer, start, end, (type, from, to) => {
      if (type === CTA_TUPLE_IP) {
        eachAttribute(buffer, from, to, (type, from) => {
          if (type === CTA_IP_V4_SRC || type === CTA_IP_V6_SRC) src = this.#address(buffer, from, family);
          else if (type === CTA_IP_V4_DST || type === CTA_IP_V6_DST) dst = this.#address(buffer, from, family);
        });
      } else if (type === CTA_TUPLE_PROTO) {
        eachAttribute(buffer, from, to, (type, from, to) => {
          const value = to - from === 1 ? (buffer[from] ?? 0) : buffer.readUInt16BE(from);
          if (type === CTA_PROTO_NUM) protocol = value;
          else ports[type] = value;
        });
      }
    });
    const tuple = { src, dst, sport: ports[CTA_PROTO_SRC_PORT] ?? 0, dport: ports[CTA_PROTO_DST_PORT] ?? 0 };
    const first = icmpAttribute(protocol);
    if (first === undefined) return { protocol, tuple };
    return {
      protocol,
      tuple,
      icmp: { id: ports[first] ?? 0, type: ports[first + 1] ?? 0, code: ports[first + 2] ?? 0 },
    };
  }

  #address(buffer: Buffer, start: number, family: Family): Address {
    if (family === 4) return cached(this.#ipv4, buffer.readUInt32BE(start), () => addressAt(buffer, start, 4));
    return cached(this.#ipv6, buffer.toString('latin1', start, start + 16), () => addressAt(buffer, start, 6));
  }
}

interface Direction {
  readonly protocol: number;
  readonly tuple: ConntrackTuple;
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
}

function cached<K>(cache: Map<K, Address>, key: K, make: () => Address): Address {
  let address = cache.get(key);
  if (address === undefined) cache.set(key, (address = make()));
  return address;
}

function eachAttribute(
  buffer: Buffer,
  start: number,
  end: number,
  visit: (type: number, from: number, to: number) => void,
): void {
  let at = start;
  while (at + 4 <= end) {
    const bytes = buffer.readUInt16LE(at);
    if (bytes < 4 || at + bytes > end) return;
    visit(buffer.readUInt16LE(at + 2) & TYPE_MASK, at + 4, at + bytes);
    at += align(bytes);
  }
}

function request(type: number, body: BodyWriter, what: string): NetlinkRequest {
  return { type, flags: 0, body: body.finish(), what };
}

/** `struct nfgenmsg` */
function header(family: Family | undefined): BodyWriter {
  return new BodyWriter()
    .u8(family === undefined ? 0 : familyNumber(family))
    .u8(0)
    .u16(0);
}

/** The start of a request about one entry: its original direction and its zone. */
function referTo({ family, protocol, orig, icmp, zone }: ConntrackEntry): BodyWriter {
  const body = header(family);
  body.nested(CTA_TUPLE_ORIG, () => {
    body.nested(CTA_TUPLE_IP, () => {
      body.attribute(ipAttribute(family, true), addressToBytes(orig.src));
      body.attribute(ipAttribute(family, false), addressToBytes(orig.dst));
    });
    body.nested(CTA_TUPLE_PROTO, () => {
      body.attributeU8(CTA_PROTO_NUM, protocol);
      const first = icmpAttribute(protocol);
      if (first === undefined || icmp === undefined) {
        body.attribute(CTA_PROTO_SRC_PORT, be16(orig.sport)).attribute(CTA_PROTO_DST_PORT, be16(orig.dport));
      } else {
        body
          .attribute(first, be16(icmp.id))
          .attributeU8(first + 1, icmp.type)
          .attributeU8(first + 2, icmp.code);
      }
    });
  });
  return zone === undefined ? body : body.attribute(CTA_ZONE, be16(zone));
}

function ipAttribute(family: Family, isSource: boolean): number {
  if (family === 4) return isSource ? CTA_IP_V4_SRC : CTA_IP_V4_DST;
  return isSource ? CTA_IP_V6_SRC : CTA_IP_V6_DST;
}

/** The attribute of a protocol's ICMP id, which those of type and code follow; undefined for other protocols. */
function icmpAttribute(protocol: number): number | undefined {
  if (protocol === IPPROTO_ICMP) return CTA_PROTO_ICMP_ID;
  return protocol === IPPROTO_ICMPV6 ? CTA_PROTO_ICMPV6_ID : undefined;
}

function be16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}

function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
