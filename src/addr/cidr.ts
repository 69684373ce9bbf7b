import { familyBits, familyOf, fromBits, parseAddress, toBits } from './address.ts';
import type { Address, Family } from './address.ts';
import { err, ok } from '../lib/result.ts';
import type { Result } from '../lib/result.ts';

/** A range of addresses in RFC 4632 notation, canonical ("10.0.0.0/8", no host bits set): serves as a Map key. */
export type Cidr = string & { readonly __cidr: unique symbol };

const LENGTH = /^(?:0|[1-9]\d{0,2})$/;

/** The range that `text` spells; one with bits set behind the prefix is refused with what it would have to be. */
export function parseCidr(text: string): Result<Cidr> {
  const slash = text.lastIndexOf('/');
  const lengthText = text.slice(slash + 1);
  if (slash < 0 || !LENGTH.test(lengthText)) {
    return err(`cannot read a CIDR from ${JSON.stringify(text)}: it is written as ADDRESS/LENGTH`);
  }
  const address = parseAddress(text.slice(0, slash));
  if (!address.ok) return err(`cannot read a CIDR from ${JSON.stringify(text)}: ${address.error}`);
  const length = Number(lengthText);
  const width = familyBits(familyOf(address.value));
  if (length > width) {
    return err(`cannot read a CIDR from ${JSON.stringify(text)}: the prefix length is at most ${width}`);
  }
  const cidr = makeCidr(address.value, length);
  if (cidrBase(cidr) !== address.value) {
    return err(`${text} has bits set behind its prefix of ${length} bits: the range would be ${cidr}`);
  }
  return ok(cidr);
}

/** The range of `length` prefix bits that `base` lies in; throws RangeError when the family has no such length. */
export function makeCidr(base: Address, length: number): Cidr {
  const family = familyOf(base);
  const width = familyBits(family);
  if (!Number.isInteger(length) || length < 0 || length > width) {
    throw new RangeError(`no IPv${family} prefix has ${length} bits`);
  }
  const suffix = BigInt(width - length);
  return `${fromBits(family, (toBits(base) >> suffix) << suffix)}/${length}` as Cidr;
}

/** The first address of the range. */
export function cidrBase(cidr: Cidr): Address {
  return cidr.slice(0, cidr.lastIndexOf('/')) as Address;
}

/** The length of the prefix in bits. */
export function cidrLength(cidr: Cidr): number {
  return Number(cidr.slice(cidr.lastIndexOf('/') + 1));
}

/** The family of the range. */
export function cidrFamily(cidr: Cidr): Family {
  return cidr.includes(':') ? 6 : 4;
}

/** Whether `address` lies in the range; never across families. */
export function contains(cidr: Cidr, address: Address): boolean {
  const family = cidrFamily(cidr);
  if (family !== familyOf(address)) return false;
  const suffix = BigInt(familyBits(family) - cidrLength(cidr));
  return toBits(address) >> suffix === toBits(cidrBase(cidr)) >> suffix;
}

/** Whether any address lies in both ranges. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return cidrLength(a) <= cidrLength(b) ? contains(a, cidrBase(b)) : contains(b, cidrBase(a));
}
