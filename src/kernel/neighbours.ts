import type { Address, Family } from '../addr/address.ts';
import { addressOf, addressToBytes, familyNumber, familyOfNumber, familyOfText } from './address-bytes.ts';
import { formatMac, macToBytes } from './links.ts';
import { BodyWriter, NLM_F_CREATE, NLM_F_REPLACE, readAttributes } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';

// linux/neighbour.h, linux/rtnetlink.h
const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_PERMANENT = 0x80;

/** What the kernel knows of an address on a link: which MAC address answers for it. */
export interface Neighbour {
  /** The interface. */
  readonly index: number;
  readonly address: Address;
  /** '' while unknown. */
  readonly mac: string;
  /** Set by hand and never asked for or forgotten. */
  readonly permanent: boolean;
}

/** Sets the MAC address of `address` on an interface for good, in place of what was known. */
export function setNeighbour(index: number, address: Address, mac: string): NetlinkRequest {
  return {
    type: RTM_NEWNEIGH,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: bodyOf(index, address).attribute(NDA_LLADDR, macToBytes(mac)).finish(),
    what: `set the neighbour ${address} (${mac}) of interface ${index}`,
  };
}

/** Forgets a neighbour; one that is not known counts as forgotten. */
export function deleteNeighbour(index: number, address: Address): NetlinkRequest {
  return {
    type: RTM_DELNEIGH,
    flags: 0,
    body: bodyOf(index, address).finish(),
    what: `delete the neighbour ${address} of interface ${index}`,
    tolerate: ['ENOENT', 'ENODEV', 'ENXIO'],
  };
}

/** Asks for all neighbours of a family, of both by default (a dump). */
export function listNeighbours(family?: Family): NetlinkRequest {
  const body = header(family === undefined ? 0 : familyNumber(family), 0, 0);
  return { type: RTM_GETNEIGH, flags: 0, body: body.finish(), what: 'list the neighbours' };
}

/** A neighbour from an RTM_NEWNEIGH or RTM_DELNEIGH message; undefined for any other message or family. */
export function decodeNeighbour({ type, buffer, start, end }: MessageView): Neighbour | undefined {
  if (type !== RTM_NEWNEIGH && type !== RTM_DELNEIGH) return undefined;
  if (familyOfNumber(buffer[start] ?? 0) === undefined) return undefined;
  const attributes = readAttributes(buffer, start + 12, end);
  const bytes = attributes.get(NDA_DST);
  if (bytes === undefined) return undefined;
  return {
    index: buffer.readUInt32LE(start + 4),
    address: addressOf(bytes),
    mac: formatMac(attributes.get(NDA_LLADDR)),
    permanent: (buffer.readUInt16LE(start + 8) & NUD_PERMANENT) !== 0,
  };
}

function bodyOf(index: number, address: Address): BodyWriter {
  const family = familyNumber(familyOfText(address));
  return header(family, index, NUD_PERMANENT).attribute(NDA_DST, addressToBytes(address));
}

/** `struct ndmsg` */
function header(family: number, index: number, state: number): BodyWriter {
  return new BodyWriter().u8(family).u8(0).u16(0).u32(index).u16(state).u8(0).u8(0);
}
