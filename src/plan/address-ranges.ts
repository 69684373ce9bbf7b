import { familyBits, fromBits, toBits } from '../addr/address.ts';
import type { Family } from '../addr/address.ts';
import { cidrBase, cidrFamily, cidrLength, makeCidr } from '../addr/cidr.ts';
import type { Cidr } from '../addr/cidr.ts';

/** Addresses by number, both ends included. */
interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

/** A CIDR less some others. */
export interface CidrLess {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/**
 * The addresses of `family` that any of `ranges` holds, as elements of an interval set: disjoint and apart from each
 * other, since the kernel refuses intervals that overlap (R13); each a CIDR where it is one.
 */
export function rangeElements(family: Family, ranges: readonly CidrLess[]): string[] {
  const spans = ranges
    .filter(({ cidr }) => cidrFamily(cidr) === family)
    .flatMap(({ cidr, except }) => {
      const holes = except.filter((hole) => cidrFamily(hole) === family).map(spanOf);
      return holes.reduce((left, hole) => left.flatMap((span) => without(span, hole)), [spanOf(cidr)]);
    });
  return merge(spans).map((span) => spanText(family, span));
}

/** The same for whole CIDRs. */
export function cidrElements(family: Family, cidrs: readonly Cidr[]): string[] {
  return rangeElements(
    family,
    cidrs.map((cidr) => ({ cidr, except: [] })),
  );
}

function spanOf(cidr: Cidr): Span {
  const first = toBits(cidrBase(cidr));
  return { first, last: first + (1n << BigInt(familyBits(cidrFamily(cidr)) - cidrLength(cidr))) - 1n };
}

function without(span: Span, hole: Span): Span[] {
  if (hole.last < span.first || hole.first > span.last) return [span];
  const left: Span[] = [];
  if (hole.first > span.first) left.push({ first: span.first, last: hole.first - 1n });
  if (hole.last < span.last) left.push({ first: hole.last + 1n, last: span.last });
  return left;
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
