import type { NftSet, Ruleset } from '../nft/ruleset.ts';

/** Sets that only say which addresses and interfaces are ours: they come and go with pods and turn no verdict of others. */
const MEMBERSHIP = /^(endpoints4|endpoints6|self|(accepted|denied)-(egress|ingress))$/;
/** Maps from the address of a local pod to its chain. */
const DISPATCH = /^(ingress|egress|host)[46]$/;

/**
 * Whether the step from one ruleset to the next may turn the verdict of a connection that is open now. A pod that
 * comes or goes turns none: its address had its conntrack entries deleted before.
 *
 * @param stayed whether an address belonged to the same local pod before and after.
 */
export function mayTurnVerdicts(before: Ruleset, after: Ruleset, stayed: (address: string) => boolean): boolean {
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name);
    // A set that is new matters only by the rule that looks into it, which is compared below.
    if (old === undefined || old === set || MEMBERSHIP.test(name)) continue;
    if (elementsDiffer(old, set, DISPATCH.test(name) ? stayed : () => true)) return true;
  }
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    // A chain that is new matters only by the map that leads to it, which is looked at above; one on a hook by itself.
    if (old === chain) continue;
    if (old === undefined ? chain.hook !== undefined : old.rules.join('\n') !== chain.rules.join('\n')) return true;
  }
  for (const [name, chain] of before.chains) if (chain.hook !== undefined && !after.chains.has(name)) return true;
  return false;
}

function elementsDiffer(before: NftSet, after: NftSet, counts: (key: string) => boolean): boolean {
  for (const [key, value] of after.elements) if (before.elements.get(key) !== value && counts(key)) return true;
  for (const key of before.elements.keys()) if (!after.elements.has(key) && counts(key)) return true;
  return false;
}
