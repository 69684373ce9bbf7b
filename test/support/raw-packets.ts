import type { Address } from '../../src/addr/address.ts';
import { addressToBytes } from '../../src/kernel/address-bytes.ts';
import { macToBytes } from '../../src/kernel/links.ts';

// IANA: EtherTypes and protocol numbers.
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd } as const;
export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  icmp6: 58,
  destination: 60,
};

/** What of an IP header is not the same in all our packets. Addresses are canonical text, of one family. */
export interface IpHeader {
  readonly src: string;
  readonly dst: string;
  /** 255 by default, as neighbour discovery wants it. */
  readonly hops?: number;
  /** IPv4: the options, padded to words here. */
  readonly options?: Buffer;
  /** IPv6: extension headers in their order. */
  readonly extensions?: readonly Extension[];
}

/** An IPv6 extension header: its type, and its body after the first two bytes, 6 bytes and a multiple of 8 more. */
export interface Extension {
  readonly type: number;
  readonly body: Buffer;
}

/** A header of type 0 or 60 that holds padding alone. */
export function padding(type: number): Extension {
  return { type, body: Buffer.from([1, 4, 0, 0, 0, 0]) };
}

/** What an IP packet carries. */
export interface Payload {
  readonly protocol: number;
  /** With the checksum over the pseudo header of `header`'s addresses. */
  bytes(header: IpHeader): Buffer;
}

/** Where a fragment lies in what it is cut from, in bytes; `end` of the last one is the length. */
export interface Cut {
  readonly start: number;
  readonly end: number;
}

const HOPS = 255;

/** An Ethernet frame; `vlan` puts an 802.1Q tag with that VLAN id before the type. */
export function frame(
  ends: { readonly dst: string; readonly src: string; readonly vlan?: number },
  packet: Buffer,
  type: number = isIpv6(packet) ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4,
): Buffer {
  const tag = ends.vlan === undefined ? [] : [u16(ETHERTYPE.vlan), u16(ends.vlan)];
  return Buffer.concat([macToBytes(ends.dst), macToBytes(ends.src), ...tag, u16(type), packet]);
}

/** An IP packet of the family that the addresses are of. */
export function ip(header: IpHeader, payload: Payload): Buffer {
  return headed(header, payload.protocol, payload.bytes(header));
}

/** The fragments of an IP packet, as they are asked for: they may overlap, and lack some. Starts are multiples of 8. */
export function fragments(header: IpHeader, payload: Payload, id: number, cuts: readonly Cut[]): Buffer[] {
  const bytes = payload.bytes(header);
  const total = Math.max(...cuts.map(({ end }) => end), bytes.length);
  return cuts.map(({ start, end }) => {
    const more = end < total ? 1 : 0;
    const part = bytes.subarray(start, end);
    if (header.src.includes(':')) {
      const fragment = Buffer.concat([u16(start | more), u32(id)]);
      const extensions = [...(header.extensions ?? []), { type: PROTOCOL.fragment, body: fragment }];
      return headed({ ...header, extensions }, payload.protocol, part);
    }
    const packet = headed(header, payload.protocol, part);
    packet.writeUInt16BE(id, 4);
    packet.writeUInt16BE((start / 8) | (more << 13), 6);
    return summed4(packet);
  });
}

export function udp(ports: { readonly sport: number; readonly dport: number }, data: Buffer): Payload {
  const head = Buffer.concat([u16(ports.sport), u16(ports.dport), u16(8 + data.length), u16(0)]);
  return summed(PROTOCOL.udp, Buffer.concat([head, data]), 6);
}

/** TCP without options; `flags` as in RFC 9293: 2 SYN, 4 RST, 16 ACK, 24 ACK and PSH. */
export function tcp(
  ends: { readonly sport: number; readonly dport: number; readonly seq?: number; readonly ack?: number },
  flags: number,
  data: Buffer,
): Payload {
  const numbers = [u32(ends.seq ?? 1), u32(ends.ack ?? 1)];
  const rest = Buffer.from([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
  return summed(PROTOCOL.tcp, Buffer.concat([u16(ends.sport), u16(ends.dport), ...numbers, rest, data]), 16);
}

/** ICMP, or ICMPv6 in IPv6; `rest` is the second word of the header. */
export function icmp(family: 4 | 6, kind: { type: number; code?: number; rest?: Buffer }, data: Buffer): Payload {
  const bytes = Buffer.concat([Buffer.from([kind.type, kind.code ?? 0, 0, 0]), kind.rest ?? Buffer.alloc(4), data]);
  if (family === 6) return summed(PROTOCOL.icmp6, bytes, 2);
  bytes.writeUInt16BE(checksum(bytes), 2);
  return { protocol: PROTOCOL.icmp, bytes: () => bytes };
}

/** Anything else by its protocol number. */
export function other(protocol: number, data: Buffer): Payload {
  return { protocol, bytes: () => data };
}

/** ARP over Ethernet (RFC 826): 1 asks, 2 answers; to be framed as `ETHERTYPE.arp`. */
export function arp(op: 1 | 2, sender: { mac: string; ip: string }, target: { mac: string; ip: string }): Buffer {
  const ends = [sender, target].flatMap((end) => [macToBytes(end.mac), bytesOf(end.ip)]);
  return Buffer.concat([u16(1), u16(ETHERTYPE.ipv4), Buffer.from([6, 4]), u16(op), ...ends]);
}

/** An option of neighbour discovery (RFC 4861 4.6), padded: 1 is the source's, 2 the target's link-layer address. */
export function ndOption(type: number, data: Buffer): Buffer {
  const words = Math.ceil((2 + data.length) / 8);
  const bytes = Buffer.alloc(8 * words);
  bytes.set([type, words]);
  bytes.set(data, 2);
  return bytes;
}

/** The bytes of a canonical address. */
export function bytesOf(address: string): Buffer {
  return addressToBytes(address as Address);
}

function headed(header: IpHeader, protocol: number, data: Buffer): Buffer {
  const [src, dst] = [bytesOf(header.src), bytesOf(header.dst)];
  const hops = header.hops ?? HOPS;
  if (src.length === 16) {
    const { extensions = [] } = header;
    const chain = extensions.map(({ type, body }, index) => {
      const next = extensions[index + 1]?.type ?? protocol;
      // The second byte counts words of 8 beyond the first; in a fragment header it is reserved.
      return Buffer.concat([Buffer.from([next, type === PROTOCOL.fragment ? 0 : (body.length - 6) / 8]), body]);
    });
    const rest = Buffer.concat([...chain, data]);
    const first = Buffer.from([0x60, 0, 0, 0, 0, 0, extensions[0]?.type ?? protocol, hops]);
    first.writeUInt16BE(rest.length, 4);
    return Buffer.concat([first, src, dst, rest]);
  }
  const options = header.options ?? Buffer.alloc(0);
  const words = 5 + Math.ceil(options.length / 4);
  const packet = Buffer.concat([Buffer.alloc(4 * words), data]);
  packet.set([0x40 | words, 0]);
  packet.writeUInt16BE(packet.length, 2);
  packet.set([hops, protocol], 8);
  packet.set(src, 12);
  packet.set(dst, 16);
  packet.set(options, 20);
  return summed4(packet);
}

/** With the checksum of the IPv4 header. */
function summed4(packet: Buffer): Buffer {
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(checksum(packet.subarray(0, 4 * ((packet[0] ?? 0) & 0xf))), 10);
  return packet;
}

/** With the checksum at `at`, over the pseudo header too (RFC 9293 3.1, RFC 8200 8.1). */
function summed(protocol: number, segment: Buffer, at: number): Payload {
  const bytes = ({ src, dst }: IpHeader): Buffer => {
    const pseudo = Buffer.concat([bytesOf(src), bytesOf(dst), u32(segment.length), u32(protocol)]);
    const sent = Buffer.from(segment);
    sent.writeUInt16BE(0, at);
    sent.writeUInt16BE(checksum(Buffer.concat([pseudo, sent])) || 0xffff, at);
    return sent;
  };
  return { protocol, bytes };
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function isIpv6(packet: Buffer): boolean {
  return (packet[0] ?? 0) >> 4 === 6;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
