import { familyOf, parseAddress, toBits } from '../addr/address.ts';
import type { Family } from '../addr/address.ts';

/** IFNAMSIZ of linux/if.h: the bytes of an interface's name, the zeros behind it included. */
const IFNAME_BYTES = 16;
/** A field of a concatenation begins at a 32-bit register of nf_tables. */
const REGISTER_BYTES = 4;

const ADDRESS_BYTES = { 4: 4, 6: 16 } as const satisfies Record<Family, number>;
/** Numbers of IANA's registry of protocols, by the names that we write. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['ipv6-icmp', 58],
  ['sctp', 132],
]);

const FIELDS: ReadonlyMap<string, (text: string) => Uint8Array | undefined> = new Map([
  ['ifname', ifname],
  ['ipv4_addr', (text) => address(text, 4)],
  ['ipv6_addr', (text) => address(text, 6)],
  ['inet_proto', protocol],
  ['inet_service', service],
]);

/**
 * The bytes that nf_tables has for the key `text` of a set whose keys are of `type`, as in `ifname . ipv4_addr`: each
 * field in network order, and in a concatenation each filled up with zeros to a register of four bytes.
 *
 * Undefined for what is not encoded here: other types, intervals, wildcards, names of services.
 */
export function encodeKey(type: string, text: string): Uint8Array | undefined {
  const types = type.split(' . ');
  const texts = text.split(' . ');
  if (types.length !== texts.length) return undefined;
  const fields: Uint8Array[] = [];
  for (const [index, name] of types.entries()) {
    const bytes = FIELDS.get(name)?.(texts[index] ?? '');
    if (bytes === undefined) return undefined;
    fields.push(bytes);
  }
  const [only] = fields;
  return fields.length === 1 ? only : concatenated(fields);
}

function concatenated(fields: readonly Uint8Array[]): Uint8Array {
  const key = new Uint8Array(fields.reduce((sum, bytes) => sum + padded(bytes), 0));
  let at = 0;
  for (const bytes of fields) {
    key.set(bytes, at);
    at += padded(bytes);
  }
  return key;
}

function padded(bytes: Uint8Array): number {
  return Math.ceil(bytes.length / REGISTER_BYTES) * REGISTER_BYTES;
}

function ifname(text: string): Uint8Array | undefined {
  const name = /^"([A-Za-z0-9._-]{1,15})"$/.exec(text)?.[1];
  if (name === undefined) return undefined;
  const bytes = new Uint8Array(IFNAME_BYTES);
  for (let at = 0; at < name.length; at += 1) bytes[at] = name.charCodeAt(at);
  return bytes;
}

function address(text: string, family: Family): Uint8Array | undefined {
  const parsed = parseAddress(text);
  if (!parsed.ok || familyOf(parsed.value) !== family) return undefined;
  const bytes = new Uint8Array(ADDRESS_BYTES[family]);
  let bits = toBits(parsed.value);
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    bytes[at] = Number(bits & 0xffn);
    bits >>= 8n;
  }
  return bytes;
}

function protocol(text: string): Uint8Array | undefined {
  const number = PROTOCOLS.get(text);
  return number === undefined ? undefined : Uint8Array.of(number);
}

function service(text: string): Uint8Array | undefined {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port > 0xffff ? undefined : Uint8Array.of(port >> 8, port & 0xff);
}
