import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import type { Unenforced } from '../objects/host-report.ts';
import { type EnforcedCondition, ENFORCED, parseObservedPolicy, wantedConditions } from './policy-conditions.ts';

const CLOSED = 'what cannot be enforced fails closed: it allows nothing, and denies what it might deny';
const GOOD = { action: 'Deny', to: [{ networks: ['0.0.0.0/0'] }] };
const NAMES = { action: 'Accept', to: [{ domainNames: ['example.org'] }] };

function policy(egress: readonly object[], more: { generation?: number; stored?: EnforcedCondition } = {}): object {
  const { generation = 1, stored } = more;
  const other = { type: 'example.org/Seen', status: 'True', reason: 'So', message: '', lastTransitionTime: 'then' };
  return {
    metadata: { name: 'p', uid: 'u', generation },
    spec: { tier: 'Admin', priority: 1, subject: { namespaces: {} }, egress },
    status: { conditions: [other, ...(stored === undefined ? [] : [{ type: ENFORCED, ...stored }])] },
  };
}

/** What hosts tell of the policy. */
function reports(told: Readonly<Record<string, Partial<Unenforced>>>): Parameters<typeof wantedConditions>[1] {
  const entry = {
    apiVersion: 'a',
    kind: 'ClusterNetworkPolicy',
    namespace: '',
    name: 'p',
    uid: 'u',
    message: 'spec no',
  };
  return new Map(Object.entries(told).map(([host, more]) => [host, { unenforced: [{ ...entry, ...more }] }]));
}

function wanted(object: object, told: Parameters<typeof reports>[0] = {}): readonly EnforcedCondition[] {
  const found = wantedConditions([unwrap(parseObservedPolicy(object))], reports(told));
  return found.map(({ condition }) => condition);
}

const failing = (message: string, observedGeneration = 1): EnforcedCondition => ({
  status: 'False',
  reason: 'FailsClosed',
  message: `${message}; ${CLOSED}`,
  observedGeneration,
});

test('R14: wantedConditions says of a policy itself what nobody can enforce of it, once for each of its generations', () => {
  const [condition] = wanted(policy([NAMES]));
  assert.ok(condition !== undefined);
  assert.deepEqual([condition.status, condition.reason, condition.observedGeneration], ['False', 'FailsClosed', 1]);
  assert.match(condition.message, /^spec\.egress\[0\]\.to\[0\]\.domainNames .*; what cannot be enforced fails closed/);
  assert.deepEqual(wanted(policy([NAMES], { stored: condition })), []);
  // What hosts tell of it as well changes nothing.
  assert.deepEqual(wanted(policy([NAMES], { stored: condition }), { n1: {} }), []);
  assert.deepEqual(wanted(policy([NAMES], { stored: condition, generation: 2 })), [
    { ...condition, observedGeneration: 2 },
  ]);
});

test('R14: wantedConditions names hosts whose kernel refuses a policy, the first ones alone if they are many', () => {
  assert.deepEqual(wanted(policy([GOOD]), { n1: {} }), [failing('on host n1: spec no')]);
  assert.deepEqual(wanted(policy([GOOD]), { n2: {}, n1: {} }), [failing('on hosts n1, n2: spec no')]);
  const many = { n5: {}, n4: {}, n3: {}, n2: {}, n1: {} };
  const condition = failing('on hosts n1, n2, n3 and others: spec no');
  assert.deepEqual(wanted(policy([GOOD]), many), [condition]);
  // More hosts: not another word, and no write.
  assert.deepEqual(wanted(policy([GOOD], { stored: condition }), { ...many, n6: {} }), []);
});

test('wantedConditions costs nothing for policies that never failed, and says when it is over', () => {
  assert.deepEqual(wanted(policy([GOOD])), []);
  const over = {
    status: 'True',
    reason: 'Enforced',
    message: 'no host tells that anything of it fails closed',
    observedGeneration: 2,
  } as const;
  const stored = failing('on host n1: spec no');
  assert.deepEqual(wanted(policy([GOOD], { stored, generation: 2 })), [over]);
  assert.deepEqual(wanted(policy([GOOD], { stored: over, generation: 2 })), []);
});

test('wantedConditions leaves a condition as it is while hosts speak of what the policy was', () => {
  const stored = failing('on host n1: spec no');
  const edited = policy([GOOD], { stored, generation: 2 });
  assert.deepEqual(wanted(edited, { n1: { generation: 1 } }), []);
  assert.deepEqual(wanted(edited, { n1: { generation: 1 }, n2: { generation: 2 } }), [
    failing('on host n2: spec no', 2),
  ]);
  assert.deepEqual(wanted(edited, { n1: { uid: 'another' } })[0]?.status, 'True');
});

test('wantedConditions writes bounded text', () => {
  const [condition] = wanted(policy([GOOD]), { n1: { message: 'x'.repeat(5_000) } });
  assert.equal(condition?.message.length, 1_024);
});
