import type { NftChain, NftSet, Ruleset } from '../nft/ruleset.ts';
import { references } from '../nft/ruleset.ts';

/** Sets that only say which addresses and interfaces are ours: they come and go with pods and turn no verdict of others. */
const MEMBERSHIP = /^(endpoints4|endpoints6|self|(accepted|denied)-(egress|ingress))$/;
/** Maps from the address of a local pod to its chain. */
const DISPATCH = /^(ingress|egress|host)[46]$/;

/** The local pods' addresses whose connections may have another verdict now; or it may be anybody. */
export type Turned = 'all' | ReadonlySet<string>;

/** Local pods' addresses before and after a step: those of pods that stayed, and those of pods that came or went. */
export interface Tenure {
  readonly stayed: ReadonlySet<string>;
  readonly turnedOver: ReadonlySet<string>;
}

/**
 * Whose connections that are open now may have another verdict after the step from one ruleset to the next: the verdict
 * on a connection is that of the chains of its local ends. A local pod that comes or goes turns none, neither its own nor
 * as a peer of others: the conntrack entries of its address are deleted when it goes.
 *
 * @param tenure asked only where something differs.
 */
export function turnedVerdicts(before: Ruleset, after: Ruleset, tenure: () => Tenure): Turned {
  for (const [name, chain] of before.chains) if (chain.hook !== undefined && !after.chains.has(name)) return 'all';
  const found = new Set<string>();
  const sets: string[] = [];
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name);
    // A set that is new matters only by the rule that looks into it, which is compared below.
    if (old === undefined || old === set || MEMBERSHIP.test(name)) continue;
    if (DISPATCH.test(name)) {
      for (const key of differing(old, set)) if (tenure().stayed.has(key)) found.add(key);
    } else if (turns(differing(old, set), tenure)) sets.push(`@${name}`);
  }
  const chains = new Set<string>();
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    if (old === chain) continue;
    if (old === undefined) {
      // A chain that is new matters only by the map that leads to it, which is looked at above; one on a hook by itself.
      if (chain.hook !== undefined) return 'all';
    } else if (old.rules.join('\n') !== chain.rules.join('\n')) chains.add(name);
  }
  if (sets.length > 0) {
    for (const [name, { rules }] of after.chains) {
      if (rules.some((rule) => sets.some((set) => rule.includes(set)))) chains.add(name);
    }
  }
  return chains.size === 0 ? found : addBehind(after, chains, found);
}

/** Whether keys of sets that rules look into, addresses perhaps followed by more, are of others than pods that came or went. */
function turns(keys: Iterable<string>, tenure: () => Tenure): boolean {
  for (const key of keys) if (!tenure().turnedOver.has(key.split(' ', 1)[0] ?? '')) return true;
  return false;
}

/** Adds the pods whose way leads through `chains`. */
function addBehind({ sets, chains: all }: Ruleset, chains: Set<string>, found: Set<string>): Turned {
  for (let size = 0; size !== chains.size;) {
    size = chains.size;
    for (const [name, chain] of all) if (!chains.has(name) && leadsTo(chain, chains)) chains.add(name);
  }
  for (const name of chains) if (all.get(name)?.hook !== undefined) return 'all';
  for (const [name, { elements }] of sets) {
    if (!DISPATCH.test(name)) continue;
    for (const [address, verdict] of elements) {
      if (references(verdict).chains.some((chain) => chains.has(chain))) found.add(address);
    }
  }
  return found;
}

function leadsTo({ rules }: NftChain, chains: ReadonlySet<string>): boolean {
  return rules.some(
    (rule) => /\b(?:goto|jump) /.test(rule) && references(rule).chains.some((name) => chains.has(name)),
  );
}

/** The keys that are in one of two sets alone, or stand for something else. */
function* differing(before: NftSet, after: NftSet): Generator<string, undefined> {
  for (const [key, value] of after.elements) if (before.elements.get(key) !== value) yield key;
  for (const key of before.elements.keys()) if (!after.elements.has(key)) yield key;
}
