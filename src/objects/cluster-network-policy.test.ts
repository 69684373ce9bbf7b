import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { parseClusterNetworkPolicy, type ClusterNetworkPolicy } from './cluster-network-policy.ts';
import { refuseInvalid } from './policy-fault.ts';

const SPEC = { tier: 'Admin', priority: 1, subject: { namespaces: {} } };
const ALL = { requirements: [] };

function json(spec: object | undefined): object {
  const base = {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'p' },
  };
  return { ...base, ...(spec === undefined ? {} : { spec }) };
}

function read(more: object): ClusterNetworkPolicy {
  return unwrap(refuseInvalid(parseClusterNetworkPolicy(json({ ...SPEC, ...more }))));
}

function faults(more: object | undefined): readonly string[] {
  const parsed = refuseInvalid(parseClusterNetworkPolicy(json(more === undefined ? more : { ...SPEC, ...more })));
  return parsed.ok ? [] : parsed.error.map(({ field, message }) => `${field}: ${message}`);
}

function ingress(more: object): object {
  return { ingress: [{ action: 'Accept', from: [{ namespaces: {} }], ...more }] };
}

function egress(...to: readonly unknown[]): object {
  return { egress: [{ action: 'Accept', to }] };
}

function one(key: string, value: string): object {
  return { requirements: [{ key, operator: 'In', values: [value] }] };
}

function protocols(...list: readonly unknown[]): object {
  return ingress({ protocols: list });
}

test('parseClusterNetworkPolicy reads every form of subject, peers and protocols', () => {
  const policy = read({
    tier: 'Baseline',
    priority: 0,
    subject: { pods: { podSelector: { matchLabels: { a: 'b' } } } },
    ingress: [
      {
        name: 'first',
        action: 'Pass',
        from: [{ namespaces: {} }, { pods: { namespaceSelector: {}, podSelector: { matchLabels: { c: 'd' } } } }],
        protocols: [
          { tcp: { destinationPort: { number: 80 } } },
          { udp: { destinationPort: { range: { start: 1, end: 9 } } } },
          { sctp: { destinationPort: { number: 65_535 } } },
          { destinationNamedPort: 'web' },
        ],
      },
    ],
    egress: [
      { action: 'Deny', to: [{ nodes: { matchLabels: { zone: 'a' } } }, { networks: ['10.0.0.1/8', 'fd00::/8'] }] },
    ],
  });
  assert.deepEqual([policy.tier, policy.priority, policy.faults], ['Baseline', 0, []]);
  assert.deepEqual(policy.subject, { namespaces: ALL, pods: one('a', 'b') });
  assert.deepEqual(policy.ingress, [
    {
      name: 'first',
      action: 'Pass',
      peers: [
        { kind: 'pods', namespaces: ALL, pods: ALL },
        { kind: 'pods', namespaces: ALL, pods: one('c', 'd') },
      ],
      ports: [
        { protocol: 'TCP', from: 80, to: 80 },
        { protocol: 'UDP', from: 1, to: 9 },
        { protocol: 'SCTP', from: 65_535, to: 65_535 },
        { name: 'web' },
      ],
    },
  ]);
  assert.deepEqual(policy.egress, [
    {
      name: '',
      action: 'Deny',
      peers: [
        { kind: 'nodes', selector: one('zone', 'a') },
        // The schema takes bits behind the prefix.
        { kind: 'networks', cidrs: ['10.0.0.0/8', 'fd00::/8'] },
      ],
    },
  ]);
});

/** What kube-apiserver 1.36 answers with the CRD of network-policy-api 0.2.0. */
const REFUSED: readonly (readonly [object | undefined, string])[] = [
  [undefined, 'spec: Required value'],
  [{ tier: 'Foo' }, 'spec.tier: Unsupported value: "Foo": supported values: "Admin", "Baseline"'],
  [{ tier: undefined }, 'spec.tier: Required value'],
  [
    { priority: 1001 },
    'spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000',
  ],
  [{ priority: -1 }, 'spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0'],
  [{ priority: undefined }, 'spec.priority: Required value'],
  [{ subject: undefined }, 'spec.subject: Required value'],
  [{ subject: {} }, 'spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties'],
  [{ subject: { namespaces: {}, pods: { podSelector: {} } } }, 'spec.subject: Too many: 2: must have at most 1 item'],
  [{ subject: { pods: {} } }, 'spec.subject.pods.podSelector: Required value'],
  [
    ingress({ action: 'Allow' }),
    'spec.ingress[0].action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"',
  ],
  [ingress({ from: undefined }), 'spec.ingress[0].from: Required value'],
  [
    ingress({ from: [] }),
    'spec.ingress[0].from: Invalid value: 0: spec.ingress[0].from in body should have at least 1 items',
  ],
  [
    ingress({ from: [{}] }),
    'spec.ingress[0].from[0]: Invalid value: 0: spec.ingress[0].from[0] in body should have at least 1 properties',
  ],
  [
    ingress({ from: Array.from({ length: 26 }, () => ({ namespaces: {} })) }),
    'spec.ingress[0].from: Too many: 26: must have at most 25 items',
  ],
  [ingress({ name: 'x'.repeat(101) }), 'spec.ingress[0].name: Too long: may not be more than 100 bytes'],
  [
    protocols({ tcp: {} }),
    'spec.ingress[0].protocols[0].tcp: Invalid value: 0: spec.ingress[0].protocols[0].tcp in body should have at least 1 properties',
  ],
  [
    protocols({ tcp: { destinationPort: { number: 0 } } }),
    'spec.ingress[0].protocols[0].tcp.destinationPort.number: Invalid value: 0: spec.ingress[0].protocols[0].tcp.destinationPort.number in body should be greater than or equal to 1',
  ],
  [
    protocols({ tcp: { destinationPort: { range: { start: 5, end: 5 } } } }),
    'spec.ingress[0].protocols[0].tcp.destinationPort.range: Invalid value: Start port must be less than End port',
  ],
  [
    protocols({ tcp: { destinationPort: { range: { start: 5 } } } }),
    'spec.ingress[0].protocols[0].tcp.destinationPort.range.end: Required value',
  ],
  [
    egress({ networks: ['10.0.0.0/33'] }),
    'spec.egress[0].to[0].networks[0]: Invalid value: "10.0.0.0/33": Invalid CIDR format provided',
  ],
  [
    egress({ networks: ['10.0.0.0/8', '10.0.0.0/8'] }),
    'spec.egress[0].to[0].networks[1]: Duplicate value: "10.0.0.0/8"',
  ],
  [
    egress({ domainNames: ['a b'] }),
    `spec.egress[0].to[0].domainNames[0]: Invalid value: "a b": spec.egress[0].to[0].domainNames[0] in body should match '^(\\*\\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$'`,
  ],
  [
    { egress: [{ action: 'Deny', to: [{ nodes: {} }], protocols: [{ destinationNamedPort: 'web' }] }] },
    'spec.egress[0]: Invalid value: networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames',
  ],
  [
    egress({ nodes: { matchExpressions: [{ operator: 'In' }] } }),
    'spec.egress[0].to[0].nodes.matchExpressions[0].key: Required value',
  ],
  [
    egress({ nodes: { matchLabels: { a: 1 } } }),
    'spec.egress[0].to[0].nodes.matchLabels.a: Invalid value: "integer": spec.egress[0].to[0].nodes.matchLabels.a in body must be of type string: "integer"',
  ],
];

test('parseClusterNetworkPolicy finds the faults that the API server refuses, in its words', () => {
  for (const [more, wanted] of REFUSED) assert.deepEqual(faults(more), [wanted], JSON.stringify(more));
});

test('parseClusterNetworkPolicy takes what the API server takes and nobody can enforce, and says what', () => {
  const table: readonly (readonly [object, string])[] = [
    [egress({ domainNames: ['*.a.b'] }), 'spec.egress[0].to[0].domainNames'],
    [
      egress({ nodes: { matchExpressions: [{ key: 'a', operator: 'Foo' }] } }),
      'spec.egress[0].to[0].nodes.matchExpressions[0].operator',
    ],
    [egress({ nodes: { matchLabels: { a: 'b!' } } }), 'spec.egress[0].to[0].nodes.matchLabels'],
    [ingress({ from: [{ nodes: {} }] }), 'spec.ingress[0].from[0].nodes'],
    [ingress({ from: [{ namespaces: {}, services: {} }] }), 'spec.ingress[0].from[0].services'],
    [protocols({ icmp: {} }), 'spec.ingress[0].protocols[0].icmp'],
    [protocols({ destinationNamedPort: '' }), 'spec.ingress[0].protocols[0].destinationNamedPort'],
    [{ subject: { serviceAccounts: {} } }, 'spec.subject.serviceAccounts'],
    [{ expires: 'never' }, 'spec.expires'],
  ];
  for (const [more, field] of table) {
    const { faults: found } = read(more);
    assert.deepEqual(
      found.map((fault) => [fault.field, fault.kind]),
      [[field, 'unknown']],
    );
  }
});
