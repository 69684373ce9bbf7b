import { cidrFamily, cidrLength, overlaps } from '../addr/cidr.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { Plan } from '../addr/plan.ts';
import { familyOf } from '../addr/address.ts';
import type { Host } from '../objects/host.ts';
import { cidrElements } from './address-ranges.ts';
import { exceptedAddresses } from './known-pods.ts';
import type { KnownPods } from './known-pods.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';
import type { Warning } from './warning.ts';

/** A range of another host, as far as it can be believed. */
export interface RemoteRange {
  readonly host: Host;
  readonly range: Cidr;
}

/** The ranges that pods' addresses are in. */
export interface HostRanges {
  readonly own: readonly Cidr[];
  readonly others: readonly RemoteRange[];
}

/**
 * This host's ranges and those of the others, hosts by name. A range that overlaps this host's own or one already
 * taken is left out, with a warning: two routes and two owners of one address are worse than none.
 */
export function hostRanges(snapshot: Snapshot): { readonly ranges: HostRanges; readonly warnings: readonly Warning[] } {
  const own = snapshot.hosts.get(snapshot.node)?.ranges ?? [];
  const others: RemoteRange[] = [];
  const warnings: Warning[] = [];
  const taken = new Map<Cidr, string>(own.map((range) => [range, snapshot.node]));
  const names = [...snapshot.hosts.keys()].filter((name) => name !== snapshot.node).sort();
  for (const name of names) {
    const host = snapshot.hosts.get(name);
    for (const range of host?.ranges ?? []) {
      const holder = taken.get(range) ?? own.find((mine) => overlapsAnother(mine, range));
      if (host === undefined || holder !== undefined) {
        warnings.push({
          reason: 'RangeConflict',
          object: `Host ${name}`,
          message: `range ${range} is ${holder}'s already`,
        });
        continue;
      }
      taken.set(range, name);
      others.push({ host, range });
    }
  }
  return { ranges: { own, others }, warnings };
}

/** Declares the sets that say, family by family, which addresses are whose. */
export function addHostSets(
  builder: RulesetBuilder,
  at: { readonly snapshot: Snapshot; readonly ranges: HostRanges; readonly known: KnownPods },
): void {
  const { own, others } = at.ranges;
  const nodes = [...at.snapshot.hosts.values()].flatMap((host) => host.addresses);
  for (const plan of at.snapshot.network.plans) {
    const { family } = plan;
    const { type } = WORDS[family];
    const all = [...own, ...others.map(({ range }) => range)];
    builder.set(`own${family}`, type, ofFamily(own, plan), { interval: true, comment: 'this host, its pods' });
    builder.set(`hosts${family}`, type, ofFamily(all, plan), { interval: true, comment: 'ranges of assigned hosts' });
    builder.set(
      `nodes${family}`,
      type,
      nodes.filter((a) => familyOf(a) === family),
      { comment: 'hosts themselves' },
    );
    builder.set(`exceptions${family}`, type, exceptedAddresses(at.known, plan), {
      comment: 'pods whose labels and bits differ',
    });
  }
}

/** Whether two ranges that are not equal overlap: never if they are of equal length. */
function overlapsAnother(a: Cidr, b: Cidr): boolean {
  return cidrFamily(a) === cidrFamily(b) && cidrLength(a) !== cidrLength(b) && overlaps(a, b);
}

/** Ranges of equal length never overlap in part, so each stays an element of its own that comes and goes alone. */
function ofFamily(ranges: readonly Cidr[], plan: Plan): readonly string[] {
  const mine = ranges.filter((range) => cidrFamily(range) === plan.family);
  const sameLength = new Set(mine.map((range) => range.slice(range.lastIndexOf('/')))).size < 2;
  return sameLength ? mine : cidrElements(plan.family, mine);
}
