import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { parseNetworkPolicy, type NetworkPolicy } from './network-policy.ts';
import { refuseInvalid } from './policy-fault.ts';
import { formatSelector } from './selector.ts';

function json(spec: unknown): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: 'a', name: 'p' },
    ...(spec === undefined ? {} : { spec }),
  };
}

function read(spec: unknown): NetworkPolicy {
  return unwrap(refuseInvalid(parseNetworkPolicy(json(spec))));
}

function ingress(rule: unknown): object {
  return { podSelector: {}, ingress: [rule] };
}

test('parseNetworkPolicy reads every form of peers and ports', () => {
  const policy = read({
    podSelector: { matchLabels: { app: 'db' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [
          { podSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b', 'c'] }] } },
          { namespaceSelector: {} },
          { namespaceSelector: { matchLabels: { x: 'y' } }, podSelector: {} },
          { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
        ],
        ports: [{ port: 80 }, { port: 'web', protocol: 'UDP' }, { port: 1, endPort: 9, protocol: 'SCTP' }, {}],
      },
    ],
    egress: [{ to: [{ ipBlock: { cidr: 'FD00:0:0::/8' } }] }, {}],
  });
  assert.equal(formatSelector(policy.podSelector), 'app=db');
  assert.deepEqual(policy.isolates, { ingress: true, egress: true });
  const [rule] = policy.ingress;
  assert.deepEqual(rule?.ports, [
    { protocol: 'TCP', port: 80 },
    { protocol: 'UDP', port: 'web' },
    { protocol: 'SCTP', port: 1, endPort: 9 },
    { protocol: 'TCP' },
  ]);
  assert.deepEqual(rule?.peers, [
    { podSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b', 'c'] }] } },
    { namespaceSelector: { requirements: [] } },
    {
      namespaceSelector: { requirements: [{ key: 'x', operator: 'In', values: ['y'] }] },
      podSelector: { requirements: [] },
    },
    { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
  ]);
  assert.deepEqual(policy.egress, [
    { peers: [{ ipBlock: { cidr: 'fd00::/8', except: [] } }], ports: [] },
    { peers: [], ports: [] },
  ]);
  assert.deepEqual(policy.faults, []);
});

test('parseNetworkPolicy gives policyTypes and podSelector their defaults', () => {
  const table: readonly (readonly [unknown, boolean, boolean])[] = [
    [undefined, true, false],
    [null, true, false],
    [{}, true, false],
    [{ podSelector: null, policyTypes: [], ingress: null }, true, false],
    [{ egress: [] }, true, false],
    [{ egress: [{}] }, true, true],
    [{ policyTypes: ['Egress'] }, false, true],
    [{ policyTypes: ['Ingress', 'Ingress'], egress: [{}] }, true, false],
  ];
  for (const [spec, toIngress, toEgress] of table) {
    const policy = read(spec);
    assert.deepEqual(policy.isolates, { ingress: toIngress, egress: toEgress }, JSON.stringify(spec));
    assert.equal(formatSelector(policy.podSelector), '');
  }
});

function types(list: unknown): unknown {
  return refuseInvalid(parseNetworkPolicy(json({ policyTypes: list })));
}

/** What kube-apiserver 1.36 answers. */
const REFUSED: readonly (readonly [unknown, string, string])[] = [
  [{ ports: [{ port: 0 }] }, 'ports[0].port', 'Invalid value: 0: must be between 1 and 65535, inclusive'],
  [{ ports: [{ port: 70000 }] }, 'ports[0].port', 'Invalid value: 70000: must be between 1 and 65535, inclusive'],
  [{ ports: [{ port: '80' }] }, 'ports[0].port', 'Invalid value: "80": must contain at least one letter (a-z)'],
  [
    { ports: [{ port: 'HTTP' }] },
    'ports[0].port',
    'Invalid value: "HTTP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
  ],
  [
    { ports: [{ port: 'abcdefghijklmnop' }] },
    'ports[0].port',
    'Invalid value: "abcdefghijklmnop": must be no more than 15 characters',
  ],
  [
    { ports: [{ protocol: 'ICMP' }] },
    'ports[0].protocol',
    'Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"',
  ],
  [
    { ports: [{ port: 80, endPort: 79 }] },
    'ports[0].endPort',
    'Invalid value: 79: must be greater than or equal to `port`',
  ],
  [
    { ports: [{ port: 'web', endPort: 81 }] },
    'ports[0].endPort',
    'Invalid value: 81: may not be specified when `port` is non-numeric',
  ],
  [
    { ports: [{ endPort: 81 }] },
    'ports[0].endPort',
    'Invalid value: 81: may not be specified when `port` is not specified',
  ],
  [{ from: [{}] }, 'from[0]', 'Required value: must specify a peer'],
  [{ from: [null] }, 'from[0]', 'Required value: must specify a peer'],
  [
    { from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] },
    'from[0]',
    'Forbidden: may not specify both ipBlock and another peer',
  ],
  [{ from: [{ ipBlock: {} }] }, 'from[0].ipBlock.cidr', 'Required value'],
  [
    { from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] },
    'from[0].ipBlock.cidr',
    'Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
  ],
  [
    { from: [{ ipBlock: { cidr: '10.0.0.1/8' } }] },
    'from[0].ipBlock.cidr',
    'Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
  ],
  [
    { from: [{ ipBlock: { cidr: '010.0.0.0/08' } }] },
    'from[0].ipBlock.cidr',
    'Invalid value: "010.0.0.0/08": must not have leading 0s in IP or prefix length',
  ],
  [
    { from: [{ ipBlock: { cidr: '::ffff:10.0.0.0/104' } }] },
    'from[0].ipBlock.cidr',
    'Invalid value: "::ffff:10.0.0.0/104": must not have an IPv4-mapped IPv6 address',
  ],
  [
    { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] } }] },
    'from[0].ipBlock.except[0]',
    'Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
  ],
  [
    { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', 'fd00::/64'] } }] },
    'from[0].ipBlock.except[1]',
    'Invalid value: "fd00::/64": must be a strict subset of `cidr`',
  ],
  [
    { from: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'Foo' }] } }] },
    'from[0].podSelector.matchExpressions[0].operator',
    'Invalid value: "Foo": not a valid selector operator',
  ],
  [
    { from: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }] },
    'from[0].podSelector.matchExpressions[0].values',
    "Required value: must be specified when `operator` is 'In' or 'NotIn'",
  ],
  [
    { from: [{ namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }] },
    'from[0].namespaceSelector.matchExpressions[0].values',
    "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
  ],
  [{ ports: [{ port: true }] }, 'ports[0].port', 'must be a whole number, found true'],
  [{ ports: {} }, 'ports', 'must be a list, found an object'],
];

test('parseNetworkPolicy finds the faults that the API server refuses, in its words', () => {
  for (const [rule, field, message] of REFUSED) {
    const parsed = refuseInvalid(parseNetworkPolicy(json(ingress(rule))));
    const wanted = [{ field: `spec.ingress[0].${field}`, message }];
    assert.deepEqual(parsed, { ok: false, error: wanted }, JSON.stringify(rule));
  }
  assert.deepEqual(types(['Foo']), {
    ok: false,
    error: [
      { field: 'spec.policyTypes[0]', message: 'Unsupported value: "Foo": supported values: "Ingress", "Egress"' },
    ],
  });
  assert.deepEqual(types(['Ingress', 'Egress', 'Egress']), {
    ok: false,
    error: [
      {
        field: 'spec.policyTypes',
        message: 'Invalid value: ["Ingress","Egress","Egress"]: may not specify more than two policyTypes',
      },
    ],
  });
});

test('parseNetworkPolicy reads what old objects may have: bits behind the prefix, leading zeros', () => {
  const parsed = unwrap(parseNetworkPolicy(json(ingress({ from: [{ ipBlock: { cidr: '010.1.2.3/08' } }] }))));
  assert.deepEqual(parsed.ingress[0]?.peers, [{ ipBlock: { cidr: '10.0.0.0/8', except: [] } }]);
  assert.deepEqual(
    parsed.faults.map(({ kind }) => kind),
    ['legacy'],
  );
});

test('parseNetworkPolicy takes fields that it does not know, and says which', () => {
  const spec = { podSelector: { foo: 1 }, bar: 2, ingress: [{ from: [{ podSelecter: {} }], ports: [{ portt: 1 }] }] };
  const parsed = read(spec);
  assert.deepEqual(
    parsed.faults.map(({ field, kind }) => [field, kind]),
    [
      ['spec.podSelector.foo', 'unknown'],
      ['spec.bar', 'unknown'],
      ['spec.ingress[0].from[0].podSelecter', 'unknown'],
      ['spec.ingress[0].ports[0].portt', 'unknown'],
    ],
  );
});

test('parseNetworkPolicy takes for no policy what has no name', () => {
  const parsed = parseNetworkPolicy({ ...json({}), metadata: { namespace: 'a' } });
  assert.deepEqual(parsed, { ok: false, error: [{ field: 'metadata.name', message: 'is required' }] });
  assert.equal(parseNetworkPolicy(7).ok, false);
});
