import { err, ok } from '../lib/result.ts';
import type { Result } from '../lib/result.ts';

/** The version of the Internet Protocol an address belongs to. */
export type Family = 4 | 6;

/**
 * An IP address in its one canonical text: dotted decimal for IPv4, RFC 5952 (lower case, longest run of zeros
 * compressed) for IPv6, without a zone. Two equal addresses are equal strings, so it serves as a Map key.
 */
export type Address = string & { readonly __address: unique symbol };

const WIDTH = { 4: 32, 6: 128 } as const;
const MAPPED_PREFIX = 0xffffn; // ::ffff:0:0/96, RFC 4291 2.5.5.2
const DECIMAL_OCTET = /^(?:0|[1-9]\d{0,2})$/;
const HEXTET = /^[0-9a-f]{1,4}$/i;

/** Bits in an address of `family`: 32 or 128. */
export function familyBits(family: Family): 32 | 128 {
  return WIDTH[family];
}

/**
 * The address that `text` spells. Strict: four decimal octets without leading zeros (RFC 6943 3.1.1 tells what
 * lenient readers do to each other), or RFC 4291 2.2 text. Zones and IPv4-mapped IPv6 addresses are refused: they
 * would be second names for something that has a name already.
 */
export function parseAddress(text: string): Result<Address> {
  const bits = text.includes(':') ? bitsOfIPv6(text) : bitsOfIPv4(text);
  if (bits === undefined) return err(`cannot read an IP address from ${JSON.stringify(text)}`);
  if (!text.includes(':')) return ok(fromBits(4, bits));
  if (bits >> 32n === MAPPED_PREFIX) {
    const plain = fromBits(4, bits & 0xffff_ffffn);
    return err(`${text} is an IPv4-mapped IPv6 address: write it as ${plain}`);
  }
  return ok(fromBits(6, bits));
}

/** The family of `address`. */
export function familyOf(address: Address): Family {
  return address.includes(':') ? 6 : 4;
}

/** The address as an unsigned number, the network's first byte being the highest. */
export function toBits(address: Address): bigint {
  const bits = address.includes(':') ? bitsOfIPv6(address) : bitsOfIPv4(address);
  if (bits === undefined) throw new TypeError(`not a canonical address: ${JSON.stringify(address)}`);
  return bits;
}

/** The address whose number is `bits`; throws RangeError when the family cannot hold it. */
export function fromBits(family: Family, bits: bigint): Address {
  if (bits < 0n || bits >> BigInt(WIDTH[family]) !== 0n) {
    throw new RangeError(`no IPv${family} address has the number ${bits}`);
  }
  return (family === 4 ? textOfIPv4(bits) : textOfIPv6(bits)) as Address;
}

/** Orders addresses: IPv4 first, then by number. For stable output. */
export function compareAddresses(a: Address, b: Address): number {
  const families = familyOf(a) - familyOf(b);
  if (families !== 0) return families;
  const difference = toBits(a) - toBits(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function bitsOfIPv4(text: string): bigint | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let bits = 0;
  for (const octet of octets) {
    if (!DECIMAL_OCTET.test(octet) || Number(octet) > 255) return undefined;
    bits = bits * 256 + Number(octet);
  }
  return BigInt(bits);
}

function bitsOfIPv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const last = halves.length - 1;
  const parts = halves.map((half, index) => hextetsOf(half, index === last));
  const [head, tail] = parts;
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const given = head.length + (tail?.length ?? 0);
  // RFC 4291 2.2: "::" stands for one or more groups of zeros.
  if (halves.length === 1 ? given !== 8 : given > 7) return undefined;
  const hextets = [...head, ...Array<number>(8 - given).fill(0), ...(tail ?? [])];
  let bits = 0n;
  for (const hextet of hextets) bits = (bits << 16n) | BigInt(hextet);
  return bits;
}

/** The 16-bit groups of one side of "::"; only the end of the address may be written as dotted decimal. */
function hextetsOf(text: string, atEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  const hextets: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (HEXTET.test(group)) {
      hextets.push(Number.parseInt(group, 16));
      continue;
    }
    const dotted = atEnd && index === groups.length - 1 ? bitsOfIPv4(group) : undefined;
    if (dotted === undefined) return undefined;
    hextets.push(Number(dotted >> 16n), Number(dotted & 0xffffn));
  }
  return hextets;
}

function textOfIPv4(bits: bigint): string {
  const n = Number(bits);
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

function textOfIPv6(bits: bigint): string {
  const hextets: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) hextets.push(Number((bits >> shift) & 0xffffn));
  const zeros = longestZeros(hextets);
  if (zeros.length < 2) return hex(hextets); // RFC 5952 4.2.2: never for one group alone
  return `${hex(hextets.slice(0, zeros.start))}::${hex(hextets.slice(zeros.start + zeros.length))}`;
}

/** The longest run of zero groups, the first one of equals (RFC 5952 4.2.3). */
function longestZeros(hextets: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, hextet] of hextets.entries()) {
    if (hextet !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

function hex(hextets: readonly number[]): string {
  return hextets.map((hextet) => hextet.toString(16)).join(':');
}
