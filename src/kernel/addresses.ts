import type { Address, Family } from '../addr/address.ts';
import { addressOf, addressToBytes, familyNumber, familyOfNumber, familyOfText } from './address-bytes.ts';
import { BodyWriter, NLM_F_CREATE, NLM_F_EXCL, readAttributes, readU32 } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';

// linux/if_addr.h, linux/rtnetlink.h
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const IFA_F_TENTATIVE = 0x40;

/** An address on an interface. */
export interface InterfaceAddress {
  /** The interface. */
  readonly index: number;
  readonly address: Address;
  /** The prefix length: 32 and 128 for pods. */
  readonly length: number;
  /** Still checked for duplicates (RFC 4862), so not usable. */
  readonly tentative: boolean;
}

/** Puts an address on an interface, without duplicate address detection; `length` is 32 or 128 by default. */
export function addAddress(index: number, address: Address, length = fullLength(address)): NetlinkRequest {
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: bodyOf(index, address, length).attributeU32(IFA_FLAGS, IFA_F_NODAD).finish(),
    what: `add the address ${address}/${length} to interface ${index}`,
  };
}

/** Asks for all addresses of a family, of both by default (a dump). */
export function listAddresses(family?: Family): NetlinkRequest {
  const body = new BodyWriter();
  body
    .u8(family === undefined ? 0 : familyNumber(family))
    .u8(0)
    .u8(0)
    .u8(0)
    .u32(0);
  return { type: RTM_GETADDR, flags: 0, body: body.finish(), what: 'list the addresses' };
}

/** An address from an RTM_NEWADDR message; undefined for any other message or family. */
export function decodeAddress({ type, buffer, start, end }: MessageView): InterfaceAddress | undefined {
  if (type !== RTM_NEWADDR || familyOfNumber(buffer[start] ?? 0) === undefined) return undefined;
  const attributes = readAttributes(buffer, start + 8, end);
  // On a point-to-point interface IFA_ADDRESS is the other end's.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (bytes === undefined) return undefined;
  const flags = readU32(attributes.get(IFA_FLAGS)) ?? buffer[start + 2] ?? 0;
  return {
    index: buffer.readUInt32LE(start + 4),
    address: addressOf(bytes),
    length: buffer[start + 1] ?? 0,
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
  };
}

function fullLength(address: Address): number {
  return familyOfText(address) === 4 ? 32 : 128;
}

/** `struct ifaddrmsg` and the address */
function bodyOf(index: number, address: Address, length: number): BodyWriter {
  const bytes = addressToBytes(address);
  const body = new BodyWriter();
  body
    .u8(familyNumber(familyOfText(address)))
    .u8(length)
    .u8(0)
    .u8(0)
    .u32(index);
  return body.attribute(IFA_LOCAL, bytes).attribute(IFA_ADDRESS, bytes);
}
