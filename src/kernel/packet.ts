import type { Address } from '../addr/address.ts';
import { addressAt } from './address-bytes.ts';

/** What the beginning of an IP packet says of its connection. */
export interface PacketHeaders {
  readonly src: Address;
  readonly dst: Address;
  /** IANA's number; undefined when the beginning ends before it. */
  readonly protocol: number | undefined;
  /** Of protocols with ports, where the beginning goes so far. */
  readonly ports: { readonly src: number; readonly dst: number } | undefined;
}

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
/** TCP, UDP, DCCP, SCTP, UDP-Lite begin with two ports. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);

// Extension headers of IPv6 (RFC 8200 4.1, RFC 4302 2.2): how long one is, by its second byte.
const OPTIONS_BYTES = (length: number): number => (length + 1) * 8;
const AUTHENTICATION_BYTES = (length: number): number => (length + 2) * 4;
const FRAGMENT = 44;
const EXTENSIONS: ReadonlyMap<number, (length: number) => number> = new Map([
  [0, OPTIONS_BYTES],
  [43, OPTIONS_BYTES],
  [60, OPTIONS_BYTES],
  [FRAGMENT, () => 8],
  [51, AUTHENTICATION_BYTES],
]);

/**
 * Reads as much as `bytes`, the beginning of a packet from its IP header on, say. Whoever sent the packet wrote them:
 * nothing in them is believed to be as long as it says.
 *
 * @returns undefined where there is not even a whole IP header.
 */
export function readPacket(bytes: Buffer): PacketHeaders | undefined {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 4 && bytes.length >= IPV4_BYTES) return readIpv4(bytes);
  return version === 6 && bytes.length >= IPV6_BYTES ? readIpv6(bytes) : undefined;
}

function readIpv4(bytes: Buffer): PacketHeaders | undefined {
  const headerBytes = (bytes.readUInt8(0) & 0x0f) * 4;
  if (headerBytes < IPV4_BYTES) return undefined;
  const protocol = bytes.readUInt8(9);
  const later = (bytes.readUInt16BE(6) & 0x1fff) !== 0;
  const ports = later ? undefined : portsAt(bytes, headerBytes, protocol);
  return { src: addressAt(bytes, 12, 4), dst: addressAt(bytes, 16, 4), protocol, ports };
}

function readIpv6(bytes: Buffer): PacketHeaders {
  const ends = { src: addressAt(bytes, 8, 6), dst: addressAt(bytes, 24, 6) };
  let protocol = bytes.readUInt8(6);
  // Each round goes on by eight bytes at least.
  for (let at = IPV6_BYTES; ;) {
    const length = EXTENSIONS.get(protocol);
    if (length === undefined) return { ...ends, protocol, ports: portsAt(bytes, at, protocol) };
    if (at + 8 > bytes.length) return { ...ends, protocol: undefined, ports: undefined };
    const later = protocol === FRAGMENT && bytes.readUInt16BE(at + 2) >> 3 !== 0;
    protocol = bytes.readUInt8(at);
    // What follows in a later fragment is no header.
    if (later) return { ...ends, protocol: EXTENSIONS.has(protocol) ? undefined : protocol, ports: undefined };
    at += length(bytes.readUInt8(at + 1));
  }
}

function portsAt(bytes: Buffer, at: number, protocol: number): PacketHeaders['ports'] {
  if (!WITH_PORTS.has(protocol) || at + 4 > bytes.length) return undefined;
  return { src: bytes.readUInt16BE(at), dst: bytes.readUInt16BE(at + 2) };
}
