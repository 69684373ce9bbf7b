import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../../src/lib/result.ts';
import { parseClusterNetworkPolicy } from '../../src/objects/cluster-network-policy.ts';
import { isJsonObject } from '../../src/objects/field.ts';
import type { Parsed } from '../../src/objects/meta.ts';
import { parseNetworkPolicy } from '../../src/objects/network-policy.ts';
import { refuseInvalid, type Faulty } from '../../src/objects/policy-fault.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { clusterPolicy } from '../../src/policy/from-cluster.ts';
import { v1Policy } from '../../src/policy/from-v1.ts';
import type { Policy } from '../../src/policy/model.ts';
import type { Party } from '../../src/policy/party.ts';
import { address, namespace, pod, world } from '../../src/policy/test-world.ts';
import { mutants } from '../support/mutants.ts';

const RUNS = 2_000;
const PORT = { ports: [{ name: 'web', protocol: 'TCP' as const, port: 80 }] };
const PARTIES: readonly Party[] = [
  pod('x/a', { app: 'a' }, { ...PORT, addresses: [address('10.0.0.1')] }),
  pod('x/b', { app: 'b' }, { ...PORT, addresses: [address('10.0.1.1')] }),
  pod('y/a', { app: 'a' }, { addresses: [address('10.0.2.1')] }),
  { kind: 'host', name: 'other', labels: new Map([['zone', 'a']]), addresses: [address('192.168.0.9')] },
  { kind: 'outside', address: address('192.0.2.1') },
];
const NAMESPACES = [namespace('x'), namespace('y', false, { team: 't' })];

const V1: readonly object[] = [
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: 'x', name: 'p' },
    spec: {
      podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['a'] }] },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        { from: [{ podSelector: {} }, { namespaceSelector: { matchLabels: { team: 't' } }, podSelector: {} }] },
        {
          ports: [
            { port: 80, endPort: 81 },
            { port: 'web', protocol: 'TCP' },
          ],
          from: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] } }],
        },
      ],
      egress: [{}, { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }],
    },
  },
];
const CLUSTER: readonly object[] = [
  {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'c' },
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'a' } } } },
      ingress: [
        {
          name: 'n',
          action: 'Accept',
          from: [{ namespaces: { matchLabels: { team: 't' } } }],
          protocols: [{ destinationNamedPort: 'web' }],
        },
        { action: 'Pass', from: [{ pods: { podSelector: { matchLabels: { app: 'b' } } } }] },
        {
          action: 'Deny',
          from: [{ namespaces: {} }],
          protocols: [{ tcp: { destinationPort: { range: { start: 1, end: 90 } } } }],
        },
      ],
      egress: [
        {
          action: 'Accept',
          to: [{ nodes: { matchExpressions: [{ key: 'zone', operator: 'Exists' }] } }, { networks: ['192.0.2.0/24'] }],
        },
        { action: 'Deny', to: [{ networks: ['192.0.0.0/8'] }, { domainNames: ['a.b'] }] },
      ],
    },
  },
];

const v1 = (json: unknown): Policy | undefined => modelOf(parseNetworkPolicy(json), v1Policy);
const cluster = (json: unknown): Policy | undefined => modelOf(parseClusterNetworkPolicy(json), clusterPolicy);

function modelOf<T extends Faulty>(parsed: Parsed<T>, make: (object: T) => Policy): Policy | undefined {
  if (!parsed.ok) {
    assert.ok(parsed.error.length > 0);
    return undefined;
  }
  const strict = refuseInvalid(parsed);
  assert.equal(
    strict.ok,
    parsed.value.faults.every(({ kind }) => kind === 'unknown'),
  );
  return make(parsed.value);
}

/** Which of all connections are allowed, in an order of its own. */
function allowed(policy: Policy): readonly boolean[] {
  const w = world(NAMESPACES, [policy]);
  return PARTIES.flatMap((from) =>
    PARTIES.flatMap((to) =>
      [80, 443].map((port) => evaluate(w, from, to, { protocol: 'TCP', port }).verdict === 'allow'),
    ),
  );
}

test('policies of any content are read and judged', () => {
  fc.assert(
    fc.property(fc.oneof(mutants(V1), mutants(CLUSTER)), (json) => {
      for (const policy of [v1(json), cluster(json)]) if (policy !== undefined) allowed(policy);
    }),
    { numRuns: RUNS },
  );
});

/** Every object in a document that may get a field, but for maps of labels. */
function objectsIn(value: unknown): object[] {
  if (Array.isArray(value)) return value.flatMap(objectsIn);
  if (!isJsonObject(value)) return [];
  const inner = Object.entries(value).flatMap(([key, item]) => (key === 'matchLabels' ? [] : objectsIn(item)));
  return [value, ...inner];
}

test('R25: a field that is not known, wherever it is in a policy, never allows what was not allowed without it', () => {
  for (const [seeds, read] of [
    [V1, v1],
    [CLUSTER, cluster],
  ] as const) {
    for (const seed of seeds) {
      const without = allowed(read(seed) ?? unwrap({ ok: false, error: 'the seed is good' }));
      const places = objectsIn(structuredClone((seed as { spec: unknown }).spec)).length;
      for (let place = 0; place < places; place += 1) {
        const json = structuredClone(seed) as { spec: unknown };
        const object = objectsIn(json.spec)[place];
        assert.ok(object !== undefined);
        Object.assign(object, { never: {} });
        const policy = read(json);
        assert.ok(policy !== undefined && policy.problems.some(({ field }) => field.endsWith('never')));
        const opened = allowed(policy).filter((is, i) => is && without[i] !== true);
        assert.deepEqual(opened, [], JSON.stringify(json));
      }
    }
  }
});
