import { cidrBase } from '../addr/cidr.ts';
import { familyOf } from '../addr/address.ts';
import type { HostRanges } from './host-ranges.ts';
import { exceptedAddresses } from './known-pods.ts';
import type { KnownPods } from './known-pods.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';

/** Declares the sets that say, family by family, which addresses are whose. */
export function addHostSets(
  builder: RulesetBuilder,
  at: { readonly snapshot: Snapshot; readonly ranges: HostRanges; readonly known: KnownPods },
): void {
  const held = [...at.ranges.own, ...at.ranges.others];
  const nodes = [...at.snapshot.hosts.values()].flatMap((host) => host.addresses);
  for (const plan of at.snapshot.network.plans) {
    const { family } = plan;
    const { type } = WORDS[family];
    // All of one length, so that one masked lookup finds them. No set of intervals: Linux 6.18 shows the elements of a new
    // one only some time after the rules that look them up are in force, and drops what is allowed in between (R9).
    const bases = held.filter((each) => each.plan === plan).map(({ range }) => cidrBase(range));
    builder.set(`hosts${family}`, type, bases, { comment: 'ranges of assigned hosts, by their first address' });
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
