import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { parseNetworkPolicy } from '../objects/network-policy.ts';
import { EVERYTHING } from '../objects/selector.ts';
import { evaluate } from './evaluate.ts';
import { v1Policy } from './from-v1.ts';
import type { Policy } from './model.ts';
import { namespace, pod, podsIn, podsWhere, world } from './test-world.ts';

function read(spec: object): Policy {
  return v1Policy(unwrap(parseNetworkPolicy({ metadata: { namespace: 'x', name: 'p', uid: 'u' }, spec })));
}

test('v1Policy says what a NetworkPolicy says', () => {
  const policy = read({
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [
      { from: [{ podSelector: {} }, { namespaceSelector: {} }, { ipBlock: { cidr: '10.0.0.0/8' } }] },
      { ports: [{ port: 80 }, { port: 'web' }, { port: 1, endPort: 9, protocol: 'UDP' }, { protocol: 'SCTP' }] },
    ],
    egress: [{}],
  });
  assert.deepEqual(policy, {
    source: 'v1',
    ref: { kind: 'NetworkPolicy', namespace: 'x', name: 'p', uid: 'u' },
    priority: 0,
    subject: podsIn(['x'], 'app=db'),
    isolates: { ingress: true, egress: true },
    ingress: [
      {
        action: 'Accept',
        peers: [
          { kind: 'pods', selection: podsIn(['x']) },
          { kind: 'pods', selection: podsWhere('') },
          { kind: 'cidrs', blocks: [{ cidr: '10.0.0.0/8', except: [] }] },
        ],
        ports: 'any',
        field: 'spec.ingress[0]',
      },
      {
        action: 'Accept',
        peers: 'any',
        ports: [
          { protocol: 'TCP', ports: { from: 80, to: 80 } },
          { protocol: 'TCP', ports: { name: 'web' } },
          { protocol: 'UDP', ports: { from: 1, to: 9 } },
          { protocol: 'SCTP', ports: 'any' },
        ],
        field: 'spec.ingress[1]',
      },
    ],
    egress: [{ action: 'Accept', peers: 'any', ports: 'any', field: 'spec.egress[0]' }],
    problems: [],
  });
});

test('R25: v1Policy fails closed where it does not know a field, in the rule alone where it can', () => {
  const open = {};
  const table: readonly (readonly [object, readonly boolean[]])[] = [
    [{ ingress: [{ from: [{ podSelecter: {} }] }, open] }, [false, true]],
    [{ ingress: [{ from: [{ podSelector: {}, service: {} }] }, open] }, [false, true]],
    [{ ingress: [{ ports: [{ port: 80, icmp: {} }] }, open] }, [false, true]],
    [{ ingress: [{ ports: [{ protocol: 'QUIC' }] }, open] }, [false, true]],
    [{ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.1/8' } }] }, open] }, [true, true]],
    [{ ingress: [open], expires: 1 }, [false]],
    [{ ingress: [open], podSelector: { celExpression: 'x' } }, [false]],
    [{ ingress: [open], podSelector: { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] } }, [false]],
  ];
  for (const [spec, alive] of table) {
    const policy = read({ podSelector: {}, ...spec });
    assert.deepEqual(
      policy.ingress.map(({ peers }) => peers.length !== 0),
      alive,
      JSON.stringify(spec),
    );
    assert.equal(policy.problems.length, alive.includes(false) ? 1 : 0);
    // What might have narrowed the subject does not: it stays isolated.
    assert.deepEqual(policy.subject.pods, EVERYTHING);
  }
  const w = world([namespace('x')], [read({ ingress: [open], expires: 1 })]);
  const decision = evaluate(w, pod('x/a'), pod('x/b'), { protocol: 'TCP', port: 80 });
  assert.deepEqual([decision.ingress.verdict, decision.ingress.tier], ['deny', 'isolation']);
});
