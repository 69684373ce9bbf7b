import { familyBits, familyOf, fromBits, toBits, type Address, type Family } from '../addr/address.ts';
import { cidrBase, cidrFamily, cidrLength, type Cidr } from '../addr/cidr.ts';

/** The numbers of the first region and the last of a range. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * The addresses cut at every end of some ranges: all addresses of one region are inside the same ranges, so one number
 * says of an address all that the ranges can say of it.
 */
export class AddressRegions {
  /** Where regions begin, by family, sorted; the first begins at 0. */
  readonly #starts: Readonly<Record<Family, readonly bigint[]>>;
  readonly #spans = new Map<Cidr, Span>();

  constructor(cidrs: Iterable<Cidr>) {
    const starts: Record<Family, Set<bigint>> = { 4: new Set([0n]), 6: new Set([0n]) };
    const distinct = new Set(cidrs);
    for (const cidr of distinct) {
      const { first, after } = boundsOf(cidr);
      starts[cidrFamily(cidr)].add(first).add(after);
    }
    const sorted = (family: Family): bigint[] => [...starts[family]].sort((a, b) => (a < b ? -1 : Number(a > b)));
    this.#starts = { 4: sorted(4), 6: sorted(6) };
    for (const cidr of distinct) {
      const { first, after } = boundsOf(cidr);
      const family = cidrFamily(cidr);
      this.#spans.set(cidr, { from: this.#find(family, first), to: this.#find(family, after - 1n) });
    }
  }

  /** The first address of each region. */
  starts(family: Family): readonly Address[] {
    return this.#starts[family]
      .filter((bits) => bits >> BigInt(familyBits(family)) === 0n)
      .map((bits) => fromBits(family, bits));
  }

  /** The region of an address, among those of its family. */
  of(address: Address): number {
    return this.#find(familyOf(address), toBits(address));
  }

  /** Whether a region of that family is inside `cidr`, which is one of those that were given. */
  inside(cidr: Cidr, family: Family, region: number): boolean {
    const span = this.#spans.get(cidr);
    return cidrFamily(cidr) === family && span !== undefined && span.from <= region && region <= span.to;
  }

  #find(family: Family, bits: bigint): number {
    const starts = this.#starts[family];
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0n) <= bits) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function boundsOf(cidr: Cidr): { readonly first: bigint; readonly after: bigint } {
  const first = toBits(cidrBase(cidr));
  return { first, after: first + (1n << BigInt(familyBits(cidrFamily(cidr)) - cidrLength(cidr))) };
}
