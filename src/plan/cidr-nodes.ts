import { familyBits, fromBits } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import { cidrBase, cidrFamily, cidrLength, makeCidr } from '../addr/cidr.ts';
import type { Cidr } from '../addr/cidr.ts';
import { mergePorts, portsKey } from './ports.ts';
import type { PortSet } from './ports.ts';

/** A CIDR less some others, and the ports that are open to it. */
export interface CidrRule {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
  readonly ports: PortSet;
}

/** What is open to the addresses that begin with `base`, unless a longer prefix says otherwise. */
export interface CidrNode {
  readonly base: Address;
  readonly ports: PortSet;
  /** Whether a shorter prefix says something else of the same addresses. */
  readonly overrides: boolean;
}

/**
 * All that rules open to addresses of `family`, by length of prefix, the longest first: the longest prefix that an
 * address begins with says all that is open to it. So each length costs at most one lookup, and excepts stay within
 * their own rule (R13): the prefix of one has what the other rules open there.
 */
export function cidrNodes(
  family: Family,
  rules: readonly CidrRule[],
): readonly (readonly [length: number, nodes: readonly CidrNode[]])[] {
  const own = rules.filter(({ cidr }) => cidrFamily(cidr) === family);
  const byCidr = Map.groupBy(own, ({ cidr }) => cidr);
  const excepts = new Map(own.map((rule) => [rule, new Set(rule.except)]));
  const prefixes = new Set(
    own.flatMap(({ cidr, except }) => except.filter((e) => cidrFamily(e) === family).concat(cidr)),
  );
  const byLength = Map.groupBy(prefixes, cidrLength);
  const lengths = [...byLength.keys()].sort((a, b) => a - b);
  const kept = new Map<Cidr, PortSet>();
  const nodes = lengths.map((length, index) => {
    const shorter = lengths.slice(0, index);
    const here = (byLength.get(length) ?? []).flatMap((prefix): readonly CidrNode[] => {
      const base = cidrBase(prefix);
      const ancestors = shorter.map((each) => makeCidr(base, each)).concat(prefix);
      const ports = portsOf(ancestors, byCidr, excepts);
      const above = ancestors.findLast((ancestor) => kept.has(ancestor));
      const inherited = above === undefined ? [] : (kept.get(above) ?? []);
      if (portsKey(ports) === portsKey(inherited)) return [];
      kept.set(prefix, ports);
      return [{ base, ports, overrides: above !== undefined }];
    });
    return [length, here] as const;
  });
  return nodes.filter(([, here]) => here.length > 0).toReversed();
}

/** What leaves of an address the first `length` bits; undefined for all of them. */
export function prefixMask(family: Family, length: number): Address | undefined {
  const width = familyBits(family);
  if (length === width) return undefined;
  return fromBits(family, ((1n << BigInt(length)) - 1n) << BigInt(width - length));
}

/** What is open to the last of `ancestors`, prefixes that hold each other, the shortest first. */
function portsOf(
  ancestors: readonly Cidr[],
  byCidr: ReadonlyMap<Cidr, readonly CidrRule[]>,
  excepts: ReadonlyMap<CidrRule, ReadonlySet<Cidr>>,
): PortSet {
  const open: PortSet[] = [];
  for (const ancestor of ancestors) {
    for (const rule of byCidr.get(ancestor) ?? []) {
      if (!ancestors.some((each) => excepts.get(rule)?.has(each))) open.push(rule.ports);
    }
  }
  return open.includes('any') ? 'any' : mergePorts(open.flatMap((ports) => (ports === 'any' ? [] : ports)));
}
