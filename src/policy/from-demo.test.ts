import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSelector } from '../objects/selector.ts';
import { demo } from './test-world.ts';

test('demoPolicy of the founding page opens port 80 of its own namespace, and isolates nothing', () => {
  const allow = { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] };
  const policy = demo('tenant-a/pol1', { segment: 'backend' }, allow);
  assert.deepEqual(policy, {
    source: 'demo',
    ref: { kind: 'NetworkPolicy', namespace: 'tenant-a', name: 'pol1', uid: 'uid-of-tenant-a/pol1' },
    priority: 0,
    subject: {
      namespaces: { kind: 'names', names: ['tenant-a'] },
      pods: { requirements: [{ key: 'segment', operator: 'In', values: ['backend'] }] },
    },
    isolates: { ingress: false, egress: false },
    ingress: [
      {
        action: 'Accept',
        peers: [
          {
            kind: 'pods',
            selection: {
              namespaces: { kind: 'names', names: ['tenant-a'] },
              pods: { requirements: [{ key: 'segment', operator: 'In', values: ['frontend'] }] },
            },
          },
        ],
        ports: [{ protocol: 'TCP', ports: { from: 80, to: 80 } }],
        field: 'spec.allowIncoming',
      },
    ],
    egress: [],
    problems: [],
  });
});

function rules(allow?: object): unknown {
  return demo('a/p', {}, allow).ingress.map(({ peers, ports }) => [peers, ports]);
}

test('demoPolicy: missing from and toPorts are any, empty ones none, no allowIncoming no rule', () => {
  assert.deepEqual(rules(), []);
  assert.deepEqual(rules({}), [['any', 'any']]);
  assert.deepEqual(rules({ from: [], toPorts: [] }), [[[], []]]);
});

test('R38: demoPolicy selects the empty segment and default as the two values that they are', () => {
  for (const value of ['', 'default']) {
    assert.equal(formatSelector(demo('a/p', { segment: value }).subject.pods), `segment=${value}`);
  }
});
