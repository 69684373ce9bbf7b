import type { Address, Family } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import { AF_INET, AF_INET6 } from './libc.ts';

// Addresses as the kernel writes them: 4 or 16 bytes in network order. Apart from `addr/`, which works on bigints,
// because a conntrack table has hundreds of thousands of them.

/** The kernel's number of an address family. */
export function familyNumber(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** The family of the kernel's number, undefined for all others than IPv4 and IPv6. */
export function familyOfNumber(number: number): Family | undefined {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : undefined;
}

/** The family of a canonical address or CIDR. */
export function familyOfText(text: Address | Cidr): Family {
  return text.includes(':') ? 6 : 4;
}

/** The bytes of a canonical address. */
export function addressToBytes(address: Address): Buffer {
  return familyOfText(address) === 4 ? ipv4ToBytes(address) : ipv6ToBytes(address);
}

/** A canonical CIDR's base in bytes, and its prefix length. */
export function cidrToBytes(cidr: Cidr): { readonly bytes: Buffer; readonly length: number } {
  const slash = cidr.indexOf('/');
  return { bytes: addressToBytes(cidr.slice(0, slash) as Address), length: Number(cidr.slice(slash + 1)) };
}

/** The canonical text of the address at `start`, of 4 or 16 bytes by its family. */
export function addressAt(buffer: Buffer, start: number, family: Family): Address {
  return (family === 4 ? ipv4At(buffer, start) : ipv6At(buffer, start)) as Address;
}

/** The canonical text of 4 or 16 bytes. */
export function addressOf(bytes: Buffer): Address {
  return addressAt(bytes, 0, bytes.length === 4 ? 4 : 6);
}

function ipv4ToBytes(text: string): Buffer {
  const bytes = Buffer.alloc(4);
  let at = 0;
  for (const part of text.split('.')) bytes[at++] = Number(part);
  return bytes;
}

function ipv6ToBytes(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  const [head = '', tail = ''] = text.split('::');
  writeHextets(bytes, 0, head);
  if (tail !== '') writeHextets(bytes, 16 - 2 * tail.split(':').length, tail);
  return bytes;
}

function writeHextets(bytes: Buffer, start: number, text: string): void {
  if (text === '') return;
  let at = start;
  for (const part of text.split(':')) at = bytes.writeUInt16BE(Number.parseInt(part, 16), at);
}

function ipv4At(buffer: Buffer, start: number): string {
  return `${buffer[start]}.${buffer[start + 1]}.${buffer[start + 2]}.${buffer[start + 3]}`;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero hextets (the first of equals) as `::`. */
function ipv6At(buffer: Buffer, start: number): string {
  const hextet = (index: number): number => buffer.readUInt16BE(start + 2 * index);
  let runStart = -1;
  let runLength = 1;
  for (let index = 0; index < 8; index += 1) {
    let length = 0;
    while (index + length < 8 && hextet(index + length) === 0) length += 1;
    if (length > runLength) {
      runStart = index;
      runLength = length;
    }
    index += length;
  }
  let text = '';
  for (let index = 0; index < 8; index += 1) {
    if (index === runStart) {
      text += '::';
      index += runLength - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += hextet(index).toString(16);
  }
  return text;
}
