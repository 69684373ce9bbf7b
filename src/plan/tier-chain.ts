import type { ContainerPort } from '../objects/pod.ts';
import { policyName } from '../policy/model.ts';
import type { Direction, Rule } from '../policy/model.ts';
import type { PeerConditions } from './peer-conditions.ts';
import type { Wanted } from './peers.ts';
import { portConditions, portNames, portSet } from './ports.ts';
import type { PortNames, PortSet } from './ports.ts';
import { commentText } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import type { Chosen } from './subjects.ts';
import { deny } from './tally.ts';

/** The cluster policies of one tier that select a pod, as they are asked: one rule after the other. */
export interface TierChain {
  readonly name: string;
  readonly comment: string;
  readonly chosen: readonly Chosen[];
  readonly direction: Direction;
  /** What follows the tier: `return`, which allows, or `goto` and a chain. */
  readonly next: string;
}

/** How the rules of a chain find whom they mean. */
export interface TierMatcher {
  /** Conditions of nft(8), one of which is true of a packet exactly if a rule of `direction` matches it. */
  conditions(rule: Rule, direction: Direction, wanted: Wanted): readonly string[];
}

/**
 * Declares the chain of a tier: `return` allows, `goto denied-...` denies, and what is passed goes on to what follows.
 *
 * What is not known is closed, as `evaluate` has it: an Accept matches only for certain; a Deny already if it may match;
 * what a Pass may match is led to a twin of the chain in which nothing is accepted any more.
 *
 * @returns whether there is such a chain: it has no rule where none can match anybody.
 */
export function addTierChain(builder: RulesetBuilder, chain: TierChain, matcher: TierMatcher): boolean {
  const { rules, perhapsPassed } = tierRules(chain, matcher, false);
  if (rules.length === 0) return false;
  const { name, comment, next } = chain;
  if (perhapsPassed) {
    const closed = tierRules(chain, matcher, true).rules;
    builder.chain(closedName(name), { comment: `${comment}, perhaps passed`, rules: withEnd(closed, next) });
  }
  builder.chain(name, { comment, rules: withEnd(rules, next) });
  return true;
}

function closedName(name: string): string {
  return `${name}-closed`;
}

function tierRules(
  { name, chosen, direction, next }: TierChain,
  matcher: TierMatcher,
  closed: boolean,
): { readonly rules: readonly string[]; readonly perhapsPassed: boolean } {
  const rules: string[] = [];
  let perhapsPassed = false;
  for (const { policy, certain } of chosen) {
    for (const rule of policy[direction]) {
      const title = rule.name === undefined ? rule.field : `${rule.field} ${rule.name}`;
      const comment = `comment "${commentText(`${policyName(policy)} ${title}`)}"`;
      const say = (wanted: Wanted, verdict: string): boolean => {
        const conditions = matcher.conditions(rule, direction, wanted);
        for (const condition of conditions) rules.push([condition, verdict, comment].filter((t) => t !== '').join(' '));
        return conditions.includes('');
      };
      // What matches everything leaves nothing to the rules behind it.
      if (rule.action === 'Deny') {
        if (say('possible', deny(direction))) return { rules, perhapsPassed };
        continue;
      }
      if (certain && say('certain', rule.action === 'Accept' && !closed ? 'return' : next)) {
        return { rules, perhapsPassed };
      }
      if (rule.action === 'Accept' || closed || (certain && sureOf(rule, direction, matcher))) continue;
      perhapsPassed = true;
      if (say('possible', `goto ${closedName(name)}`)) return { rules, perhapsPassed };
    }
  }
  return { rules, perhapsPassed };
}

/** Whether a rule can't match without doing so for certain. */
function sureOf(rule: Rule, direction: Direction, matcher: TierMatcher): boolean {
  const [certain, possible] = (['certain', 'possible'] as const).map((wanted) =>
    matcher.conditions(rule, direction, wanted).join('\n'),
  );
  return certain === possible;
}

/** The end of a chain is to go back to where it was called from, which is what `return` does. */
function withEnd(rules: readonly string[], next: string): readonly string[] {
  return next === 'return' ? rules : [...rules, next];
}

/** The container ports of a pod; `unknown` while the API does not show it. */
export type PodPorts = readonly ContainerPort[] | 'unknown';

/** How the names of ports of a pod are resolved. */
export function namesOf(ports: PodPorts): PortNames {
  if (ports === 'unknown') return () => [];
  return (name, protocol) => ports.filter((p) => p.name === name && p.protocol === protocol).map((p) => p.port);
}

/** Matches what a pod sends or gets: the other end by its address, ports as the destination itself calls them. */
export function podMatcher(peers: PeerConditions, ports: PodPorts): TierMatcher {
  return {
    conditions(rule, direction, wanted) {
      const side = direction === 'ingress' ? 'saddr' : 'daddr';
      const services = direction === 'ingress' ? ownPorts(rule, ports, wanted) : portSet(rule.ports, () => []);
      const numbered = portConditions(services);
      const ends = numbered.length === 0 ? [] : peers.of(rule.peers, side, wanted);
      const named = direction === 'ingress' ? [] : portNames(rule.ports);
      return [
        ...ends.flatMap((end) => numbered.map((port) => `${end} ${port}`.trim())),
        ...named.flatMap((port) => peers.withNamedPort(rule.peers, port, wanted)),
      ];
    },
  };
}

/** A port by name of a pod that is not known may be any one of its protocol. */
function ownPorts({ ports }: Rule, own: PodPorts, wanted: Wanted): PortSet {
  if (own !== 'unknown' || ports === 'any' || wanted === 'certain') return portSet(ports, namesOf(own));
  const open = ports.map((each) =>
    typeof each.ports === 'object' && 'name' in each.ports ? { ...each, ports: ANY } : each,
  );
  return portSet(open, namesOf(own));
}

const ANY = 'any' as const;
