import { contains, cidrBase, cidrLength, makeCidr, parseCidr, type Cidr } from '../addr/cidr.ts';
import { parseAddress } from '../addr/address.ts';

/** What could be made of the text of a CIDR. */
export interface CidrRead {
  /** Undefined where there is no telling what was meant. */
  readonly cidr: Cidr | undefined;
  /** What the API server says against it in a new object; with a `cidr`, what old objects may have all the same. */
  readonly fault?: string;
}

/** Octets and lengths without their leading zeros: Go took them for decimal until Kubernetes 1.36. */
function withoutZeros(text: string): string {
  return text.includes(':') ? text.replace(/\/0+(?=\d)/, '/') : text.replaceAll(/(^|[./])0+(?=\d)/g, '$1');
}

function isMapped(text: string): boolean {
  const address = text.slice(0, text.indexOf('/'));
  return /^::ffff:/i.test(address) && !parseAddress(address).ok;
}

/** Reads a CIDR as Kubernetes does: `cidr` is the range, whatever bits stand behind the prefix. */
export function readCidr(text: string): CidrRead {
  const strict = parseCidr(text);
  if (strict.ok) return { cidr: strict.value };
  const plain = withoutZeros(text);
  const slash = plain.lastIndexOf('/');
  const address = parseAddress(plain.slice(0, Math.max(slash, 0)));
  const length = plain.slice(slash + 1);
  const width = plain.includes(':') ? 128 : 32;
  if (!address.ok || !/^\d+$/.test(length) || Number(length) > width) {
    if (isMapped(text)) return { cidr: undefined, fault: 'must not have an IPv4-mapped IPv6 address' };
    return { cidr: undefined, fault: 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)' };
  }
  const cidr = makeCidr(address.value, Number(length));
  if (plain !== text) return { cidr, fault: 'must not have leading 0s in IP or prefix length' };
  return { cidr, fault: 'must not have bits set beyond the prefix length' };
}

/** Whether all of `inner` lies in `outer`, and not all of `outer` in `inner`. */
export function isStrictlyInside(inner: Cidr, outer: Cidr): boolean {
  return cidrLength(outer) < cidrLength(inner) && contains(outer, cidrBase(inner));
}
