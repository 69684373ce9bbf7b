import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { parseClusterNetworkPolicy } from '../objects/cluster-network-policy.ts';
import { evaluate } from './evaluate.ts';
import { clusterPolicy } from './from-cluster.ts';
import type { Policy } from './model.ts';
import { namespace, pod, podsWhere, selector, world } from './test-world.ts';

function read(more: object): Policy {
  const spec = { tier: 'Admin', priority: 5, subject: { namespaces: {} }, ...more };
  return clusterPolicy(unwrap(parseClusterNetworkPolicy({ metadata: { name: 'p', uid: 'u' }, spec })));
}

test('clusterPolicy says what a ClusterNetworkPolicy says', () => {
  const policy = read({
    tier: 'Baseline',
    subject: { pods: { namespaceSelector: { matchLabels: { a: 'b' } }, podSelector: {} } },
    ingress: [
      {
        name: 'metrics',
        action: 'Pass',
        from: [{ pods: { podSelector: { matchLabels: { c: 'd' } } } }],
        protocols: [{ udp: { destinationPort: { number: 53 } } }, { destinationNamedPort: 'web' }],
      },
    ],
    egress: [
      { action: 'Deny', to: [{ nodes: { matchLabels: { zone: 'a' } } }, { networks: ['10.0.0.0/8', 'fd00::/8'] }] },
    ],
  });
  const web = { name: 'web' };
  assert.deepEqual(policy, {
    source: 'baseline',
    ref: { kind: 'ClusterNetworkPolicy', namespace: '', name: 'p', uid: 'u' },
    priority: 5,
    subject: podsWhere('a=b'),
    isolates: { ingress: false, egress: false },
    ingress: [
      {
        action: 'Pass',
        peers: [{ kind: 'pods', selection: podsWhere('', 'c=d') }],
        ports: [
          { protocol: 'UDP', ports: { from: 53, to: 53 } },
          { protocol: 'TCP', ports: web },
          { protocol: 'UDP', ports: web },
          { protocol: 'SCTP', ports: web },
        ],
        field: 'spec.ingress[0]',
        name: 'metrics',
      },
    ],
    egress: [
      {
        action: 'Deny',
        peers: [
          { kind: 'nodes', selector: selector('zone=a') },
          {
            kind: 'cidrs',
            blocks: [
              { cidr: '10.0.0.0/8', except: [] },
              { cidr: 'fd00::/8', except: [] },
            ],
          },
        ],
        ports: 'any',
        field: 'spec.egress[0]',
      },
    ],
    problems: [],
  });
});

test('R25: clusterPolicy fails closed: an Accept matches nothing, a Deny or Pass denies everything', () => {
  const known = { namespaces: { matchLabels: { never: '' } } };
  const unknown: readonly object[] = [
    { to: [{ domainNames: ['a.b'] }] },
    { to: [known, { services: {} }] },
    { to: [{ namespaces: { matchLabels: { never: '' }, cel: 1 } }] },
    { to: [known], protocols: [{ icmp: {} }] },
    { to: [known], protocols: [{ tcp: { destinationPort: { number: 80 }, sourcePort: {} } }] },
    { to: [known], schedule: 'nights' },
    { to: [{ namespaces: { matchExpressions: [{ key: 'never', operator: 'Matches', values: ['a'] }] } }] },
  ];
  for (const rule of unknown) {
    for (const [action, wanted] of [
      ['Accept', ['allow', 'default', '']],
      ['Deny', ['deny', 'admin', 'spec.egress[0]']],
      ['Pass', ['deny', 'admin', 'spec.egress[0]']],
      ['Log', ['deny', 'admin', 'spec.egress[0]']],
    ] as const) {
      const policy = read({ egress: [{ action, ...rule }] });
      const { egress } = evaluate(world([namespace('x')], [policy]), pod('x/a'), pod('x/b'), { protocol: 'ICMP' });
      assert.deepEqual([egress.verdict, egress.tier, egress.field], wanted, `${action} ${JSON.stringify(rule)}`);
      assert.ok(policy.problems.length > 0);
    }
  }
});

test('R25: clusterPolicy lets only the rule fail closed that has the fault, and all of them where the policy has it', () => {
  const deny = { action: 'Deny', from: [{ namespaces: { matchLabels: { never: '' } } }] };
  const odd = { action: 'Accept', from: [{ services: {} }] };
  const peers = (more: object): unknown =>
    read(more).ingress.map(({ peers: of }) => (of === 'any' ? 'any' : of.length));
  assert.deepEqual(peers({ ingress: [deny, odd, deny] }), [1, 0, 1]);
  assert.deepEqual(peers({ ingress: [deny, deny], expires: 1 }), ['any', 'any']);
  const nobodyKnows = read({ subject: { serviceAccounts: {} }, ingress: [deny] });
  assert.deepEqual([nobodyKnows.subject, nobodyKnows.ingress[0]?.peers], [podsWhere(''), 'any']);
});
