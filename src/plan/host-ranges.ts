import type { Cidr } from '../addr/cidr.ts';
import { hostRange, masked, maxHost } from '../addr/plan.ts';
import type { Plan } from '../addr/plan.ts';
import type { Host } from '../objects/host.ts';
import type { Snapshot } from './snapshot.ts';
import type { Warning } from './warning.ts';
import { WORDS } from './ruleset-builder.ts';

/** The range of a host in one plan, where its pods' addresses are. */
export interface HeldRange {
  readonly host: Host;
  readonly plan: Plan;
  readonly range: Cidr;
}

/** The ranges that pods' addresses are in. */
export interface HostRanges {
  readonly own: readonly HeldRange[];
  readonly others: readonly HeldRange[];
}

/**
 * This host's ranges and those of the others, hosts by name. A host has only the range of its id, and none that is
 * taken already: what else a Host says is left out, with a warning, since two owners of one address are worse than none.
 */
export function hostRanges(snapshot: Snapshot): { readonly ranges: HostRanges; readonly warnings: readonly Warning[] } {
  const { plans } = snapshot.network;
  const own: HeldRange[] = [];
  const others: HeldRange[] = [];
  const warnings: Warning[] = [];
  const taken = new Map<Cidr, string>();
  const names = [...snapshot.hosts.keys()].filter((name) => name !== snapshot.node).sort();
  for (const name of [snapshot.node, ...names]) {
    const host = snapshot.hosts.get(name);
    if (host === undefined) continue;
    const held = heldRanges(plans, host);
    const warn = (message: string): void =>
      void warnings.push({ reason: 'RangeConflict', object: `Host ${name}`, message });
    for (const each of held) {
      const holder = taken.get(each.range);
      if (holder === undefined) (name === snapshot.node ? own : others).push(each);
      else warn(`range ${each.range} is ${holder}'s already`);
      taken.set(each.range, holder ?? name);
    }
    if (held.length === host.ranges.length) continue;
    for (const range of host.ranges) {
      if (!held.some((each) => each.range === range)) warn(`range ${range} is not that of host id ${host.id}`);
    }
  }
  return { ranges: { own, others }, warnings };
}

/** An expression of nft that is the address of one side, less all that is not of the host's prefix. */
export function hostPrefix(plan: Plan, side: 'saddr' | 'daddr'): string {
  return `${WORDS[plan.family].ip} ${side} & ${masked(plan, { host: 0 }).mask}`;
}

const worked = new WeakMap<Host, { readonly plans: readonly Plan[]; readonly held: readonly HeldRange[] }>();

/** Worked out once for each Host: plans are made of the same ones over and over. */
function heldRanges(plans: readonly Plan[], host: Host): readonly HeldRange[] {
  const before = worked.get(host);
  if (before?.plans === plans) return before.held;
  const held = plans
    .filter((plan) => host.id <= maxHost(plan))
    .map((plan) => ({ host, plan, range: hostRange(plan, host.id) }))
    .filter(({ range }) => host.ranges.includes(range));
  worked.set(host, { plans, held });
  return held;
}
