import { familyBits, fromBits, toBits } from '../addr/address.ts';
import type { Family } from '../addr/address.ts';
import { cidrBase, cidrFamily, cidrLength, makeCidr } from '../addr/cidr.ts';
import type { Cidr } from '../addr/cidr.ts';

/** Addresses by number, both ends included. */
interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * The addresses of `family` that any of `cidrs` holds, as elements of an interval set: disjoint and apart from each
 * other, since the kernel refuses intervals that overlap; each a CIDR where it is one.
 */
export function cidrElements(family: Family, cidrs: readonly Cidr[]): string[] {
  const spans = cidrs.filter((cidr) => cidrFamily(cidr) === family).map(spanOf);
  return merge(spans).map((span) => spanText(family, span));
}

function spanOf(cidr: Cidr): Span {
  const first = toBits(cidrBase(cidr));
  return { first, last: first + (1n << BigInt(familyBits(cidrFamily(cidr)) - cidrLength(cidr))) - 1n };
}

function merge(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  for (const span of [...spans].sort((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first)))) {
    const last = merged.at(-1);
    if (last === undefined || span.first > last.last + 1n) merged.push(span);
    else if (span.last > last.last) merged[merged.length - 1] = { first: last.first, last: span.last };
  }
  return merged;
}

function spanText(family: Family, { first, last }: Span): string {
  const size = last - first + 1n;
  const base = fromBits(family, first);
  if (size === 1n) return base;
  if ((size & (size - 1n)) === 0n && first % size === 0n) {
    return makeCidr(base, familyBits(family) - (size.toString(2).length - 1));
  }
  return `${base}-${fromBits(family, last)}`;
}
