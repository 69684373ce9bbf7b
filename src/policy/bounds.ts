import type { FieldError } from '../objects/field.ts';
import { closedPolicy } from './fail-closed.ts';
import type { Direction, Policy, Rule } from './model.ts';

/**
 * How much of one direction one policy may say. More fails closed for the pods that it selects: what is enforced within
 * milliseconds for everybody else must not wait for one policy's hundreds of thousands of set elements.
 */
export const POLICY_BOUNDS = {
  rules: 1_000,
  /** Blocks and their exceptions. */
  cidrs: 10_000,
  /** Over all rules; of a range each port counts, up to RANGE_PORTS. */
  ports: 10_000,
  /** Peers times ports, rule by rule. */
  pairs: 100_000,
} as const;

/** A range of ports counts as so many at most. */
const RANGE_PORTS = 256;

const DIRECTIONS = ['ingress', 'egress'] as const;

/** `policy`, or what fails closed of it where it is beyond a bound. */
export function withinBounds(policy: Policy): Policy {
  for (const direction of DIRECTIONS) {
    const fault = faultOf(policy, direction);
    if (fault !== undefined) return closedPolicy(policy, fault);
  }
  return policy;
}

function faultOf(policy: Policy, direction: Direction): FieldError | undefined {
  const rules = policy[direction];
  const counts: Record<keyof typeof POLICY_BOUNDS, number> = {
    rules: rules.length,
    cidrs: sum(rules, ({ peers }) => (peers === 'any' ? 0 : sum(peers, cidrCount))),
    ports: sum(rules, portCount),
    pairs: sum(rules, (rule) => Math.max(1, peerCount(rule)) * Math.max(1, portCount(rule))),
  };
  for (const what of ['rules', 'cidrs', 'ports', 'pairs'] as const) {
    if (counts[what] <= POLICY_BOUNDS[what]) continue;
    const name = what === 'pairs' ? 'pairs of peers and ports' : what === 'cidrs' ? 'CIDRs' : what;
    const message = `has ${counts[what]} ${name}, more than the ${POLICY_BOUNDS[what]} that one policy may have in one direction`;
    return { field: `spec.${direction}`, message };
  }
  return undefined;
}

function cidrCount(peer: Exclude<Rule['peers'], 'any'>[number]): number {
  return peer.kind === 'cidrs' ? sum(peer.blocks, ({ except }) => 1 + except.length) : 0;
}

function peerCount({ peers }: Rule): number {
  return peers === 'any' ? 0 : sum(peers, (peer) => Math.max(1, cidrCount(peer)));
}

function portCount({ ports }: Rule): number {
  if (ports === 'any') return 0;
  return sum(ports, ({ ports: one }) =>
    one === 'any' || 'name' in one ? 1 : Math.max(1, Math.min(RANGE_PORTS, one.to - one.from + 1)),
  );
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
