import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POLICY_BOUNDS, withinBounds } from './bounds.ts';
import type { Policy, PortMatch, Rule } from './model.ts';
import { cidr, policy } from './test-world.ts';

const RULE: Rule = { action: 'Accept', peers: 'any', ports: 'any', field: 'spec.ingress[0]' };
const port = (from: number, to = from): PortMatch => ({ protocol: 'TCP', ports: { from, to } });
const block = (n: number): { cidr: ReturnType<typeof cidr>; except: [] } => ({
  cidr: cidr(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}/32`),
  except: [],
});

function withRules(rules: readonly Rule[], more: Partial<Policy> = {}): Policy {
  return policy('v1', 'a/p', { isolates: { ingress: true, egress: false }, ingress: rules, ...more });
}

test('R14: withinBounds leaves a policy alone that is at its bounds', () => {
  const rules = Array.from({ length: POLICY_BOUNDS.rules }, () => RULE);
  for (const each of [
    withRules(rules),
    withRules([{ ...RULE, ports: Array.from({ length: POLICY_BOUNDS.ports }, (_, n) => port(n + 1)) }]),
    withRules([
      { ...RULE, peers: [{ kind: 'cidrs', blocks: Array.from({ length: POLICY_BOUNDS.cidrs }, (_, n) => block(n)) }] },
    ]),
  ]) {
    assert.equal(withinBounds(each), each);
  }
});

test('R14: withinBounds closes a policy beyond a bound and says which', () => {
  const blocks = Array.from({ length: 1_000 }, (_, n) => block(n));
  const beyond: Record<string, Policy> = {
    'has 1001 rules, more than the 1000': withRules(Array.from({ length: 1_001 }, () => RULE)),
    'has 10001 ports': withRules([{ ...RULE, ports: Array.from({ length: 10_001 }, (_, n) => port(n + 1)) }]),
    'has 10240 ports': withRules([{ ...RULE, ports: Array.from({ length: 40 }, (_, n) => port(n + 1, n + 5_000)) }]),
    'has 101000 pairs of peers and ports': withRules([
      { ...RULE, peers: [{ kind: 'cidrs', blocks }], ports: Array.from({ length: 101 }, (_, n) => port(n + 1)) },
    ]),
  };
  for (const [message, each] of Object.entries(beyond)) {
    const closed = withinBounds(each);
    assert.equal(closed.problems[0]?.field, 'spec.ingress');
    assert.ok(closed.problems[0]?.message.startsWith(message), closed.problems[0]?.message);
    assert.ok(closed.ingress.every(({ peers }) => peers.length === 0));
    assert.deepEqual(closed.isolates, each.isolates);
  }
});

test('R14: withinBounds makes what denies or passes beyond a bound deny everything', () => {
  const rules = Array.from({ length: 1_001 }, () => ({ ...RULE, action: 'Pass' as const, peers: [] }));
  const { ingress } = withinBounds(policy('admin', 'p', { ingress: rules }));
  assert.deepEqual(ingress[0], { ...RULE, action: 'Deny' });
});
