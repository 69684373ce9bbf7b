import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import { parseDemoPolicy } from './demo-policy.ts';
import { parseHostReport } from './host-report.ts';
import { parseHost } from './host.ts';
import { formatFieldErrors, qualifiedName, type Parsed } from './meta.ts';
import { parseNamespace } from './namespace.ts';
import { networkToJson, parseNetwork } from './network.ts';
import { parseNode } from './node.ts';
import { configHash, parsePod, podFinished } from './pod.ts';
import { sharedLabels } from './shared-labels.ts';
import { parseTenant } from './tenant.ts';

const parsers: readonly ((json: unknown) => Parsed<unknown>)[] = [
  parseNamespace,
  parseNode,
  parsePod,
  parseNetwork,
  parseHost,
  parseTenant,
  parseHostReport,
  parseDemoPolicy,
];

const metadata = { name: 'a' };

function faults(parsed: Parsed<unknown>): readonly string[] {
  return parsed.ok ? [] : parsed.error.map((e) => e.field);
}

test('parsers take any JSON without throwing, and say where it is wrong', () => {
  const apiVersion = fc.constantFrom('v1', 'romana.io/v1', 'romana.io/demo/v1', 'demo.romana.io/v1');
  const part = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      fc.constantFrom(
        'plans',
        'id',
        'podSelector',
        'podIPs',
        'addresses',
        'segments',
        'leases',
        'allowIncoming',
        'containers',
        '__proto__',
      ),
      fc.jsonValue(),
    ),
  );
  const near = fc.record({ apiVersion, metadata: fc.oneof(fc.constant(metadata), part), spec: part, status: part });
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), near), (json) => {
      for (const parse of parsers) {
        const parsed = parse(json);
        if (!parsed.ok) assert.notEqual(parsed.error.length, 0);
      }
    }),
  );
});

test('parsers read metadata, null parts included, and treat no key as special', () => {
  const json: unknown = JSON.parse(`{"metadata": {"name": "a", "namespace": "b", "uid": "u", "resourceVersion": "7",
    "labels": {"__proto__": "x", "constructor": "y"}, "annotations": null, "creationTimestamp": null,
    "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"], "managedFields": [1]}}`);
  const { meta } = unwrap(parsePod(json));
  assert.deepEqual(
    [...meta.labels],
    [
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ],
  );
  assert.equal(meta.annotations.size, 0);
  assert.equal('creationTimestamp' in meta, false);
  assert.equal(meta.deletionTimestamp, '2026-01-01T00:00:00Z');
  assert.deepEqual(meta.finalizers, ['f']);
  assert.equal(qualifiedName(meta), 'b/a');
});

test('parsers refuse names that no API server stores, and other kinds', () => {
  for (const name of ['', '../a', 'a b', 'A', 'a"', 'a'.repeat(254), 7, null]) {
    assert.deepEqual(faults(parseNamespace({ metadata: { name } })), ['metadata.name'], String(name));
  }
  assert.deepEqual(faults(parsePod({ metadata: { name: 'a', namespace: '..' } })), ['metadata.namespace']);
  assert.deepEqual(faults(parsePod({})), ['metadata']);
  assert.deepEqual(faults(parsePod({ kind: 'Node', apiVersion: 'v2', metadata })), ['apiVersion', 'kind']);
  const result = parsePod([]);
  assert.equal(result.ok ? '' : formatFieldErrors(result.error), 'a Pod must be an object, found a list');
});

function podOf(name: string, app: string): ReturnType<typeof parsePod> {
  return parsePod({ metadata: { name, labels: { app, tier: 'x' }, annotations: { long: 'text' } } });
}

test('parsePod keeps of 100,000 pods what it needs: equal labels once, of annotations what names a static pod', () => {
  const [one, two, three] = [unwrap(podOf('p-1', 'a')), unwrap(podOf('p-2', 'a')), unwrap(podOf('p-3', 'b'))];
  assert.equal(one.meta.labels, two.meta.labels);
  assert.deepEqual([...one.meta.labels], Object.entries({ app: 'a', tier: 'x' }));
  assert.notEqual(one.meta.labels, three.meta.labels);
  assert.equal(three.meta.labels.get('app'), 'b');
  assert.equal(one.meta.annotations.size, 0);
  assert.equal(one.meta.annotations, three.meta.annotations);
});

test('sharedLabels: equal ones are one object, however many others come between, or at least equal', () => {
  for (let n = 0; n < 10_000; n++) {
    const labels = new Map([['n', `${n}`]]);
    assert.equal(sharedLabels(labels), labels);
    assert.equal(sharedLabels(new Map(labels)), labels);
  }
  assert.deepEqual(sharedLabels(new Map([['n', '0']])), new Map([['n', '0']]));
  assert.notEqual(
    sharedLabels(new Map([['n', '1,"x"']])),
    sharedLabels(
      new Map([
        ['n', '1'],
        ['x', ''],
      ]),
    ),
  );
});

test('parseNamespace reads both isolation annotations; one that is unreadable isolates and is reported', () => {
  const alpha = 'net.alpha.kubernetes.io/network-isolation';
  const beta = 'net.beta.kubernetes.io/network-policy';
  const table: readonly (readonly [Record<string, string>, boolean, number])[] = [
    [{}, false, 0],
    [{ [alpha]: 'on' }, true, 0],
    [{ [alpha]: 'off' }, false, 0],
    [{ [alpha]: 'yes' }, true, 1],
    [{ [alpha]: 'On' }, true, 1],
    [{ [alpha]: '' }, true, 1],
    [{ [beta]: '{"ingress":{"isolation":"DefaultDeny"}}' }, true, 0],
    [{ [beta]: '{}' }, false, 0],
    [{ [beta]: '{"ingress":{}}' }, false, 0],
    [{ [beta]: '{"ingress":{"isolation":"DefaultAllow"}}' }, true, 1],
    [{ [beta]: '{"Ingress":{"isolation":"DefaultDeny"}}' }, true, 1],
    [{ [beta]: '{"ingress":[]}' }, true, 1],
    [{ [beta]: 'null' }, true, 1],
    [{ [beta]: '{' }, true, 1],
    [{ [alpha]: 'off', [beta]: '{"ingress":{"isolation":"DefaultDeny"}}' }, true, 0],
    [{ [alpha]: 'on', [beta]: '{}' }, true, 0],
    [{ [alpha]: 'x', [beta]: 'y' }, true, 2],
  ];
  for (const [annotations, isolated, problems] of table) {
    const namespace = unwrap(parseNamespace({ metadata: { name: 'a', annotations } }));
    assert.equal(namespace.isolated, isolated, JSON.stringify(annotations));
    assert.equal(namespace.problems.length, problems, JSON.stringify(annotations));
  }
  const { problems } = unwrap(parseNamespace({ metadata: { name: 'a', annotations: { [alpha]: 'yes' } } }));
  assert.equal(
    formatFieldErrors(problems),
    `metadata.annotations[${alpha}]: must be "on" or "off", found "yes"; the namespace counts as isolated`,
  );
});

test('parseNamespace gives every namespace the label with its name', () => {
  const namespace = unwrap(parseNamespace({ metadata: { name: 'a', labels: { 'kubernetes.io/metadata.name': 'b' } } }));
  assert.equal(namespace.meta.labels.get('kubernetes.io/metadata.name'), 'a');
});

test('parseNode takes internal, then external addresses, and reports what is none', () => {
  const addresses = [
    { type: 'Hostname', address: 'minion1' },
    { type: 'ExternalIP', address: '203.0.113.7' },
    { type: 'InternalIP', address: '192.168.99.11' },
    { type: 'InternalIP', address: 'FD00:99::11' },
    { type: 'InternalIP', address: '192.168.099.11' },
    { type: 'ExternalIP', address: '192.168.99.11' },
  ];
  const node = unwrap(parseNode({ metadata, status: { addresses } }));
  assert.deepEqual(node.addresses, ['192.168.99.11', 'fd00:99::11', '203.0.113.7']);
  assert.deepEqual(
    node.problems.map((p) => p.field),
    ['status.addresses[4].address'],
  );
});

test('parsePod reads what policy and wiring need', () => {
  const pod = unwrap(
    parsePod({
      metadata: { ...metadata, annotations: { 'kubernetes.io/config.hash': 'h' } },
      spec: {
        nodeName: 'minion1',
        serviceAccountName: 'default',
        containers: [{ ports: [{ containerPort: 80 }, { name: 'dns', protocol: 'UDP', containerPort: 53 }] }, {}],
        initContainers: [
          { ports: [{ containerPort: 1 }] },
          { restartPolicy: 'Always', ports: [{ name: 'side', containerPort: 2 }] },
        ],
      },
      status: { phase: 'Running', podIP: '10.1.17.3', podIPs: [{ ip: '10.1.17.3' }, { ip: 'fd00:10::1:1:1:3' }] },
    }),
  );
  assert.equal(pod.nodeName, 'minion1');
  assert.equal(pod.hostNetwork, false);
  assert.deepEqual(pod.addresses, ['10.1.17.3', 'fd00:10::1:1:1:3']);
  assert.deepEqual(pod.ports, [
    { name: '', protocol: 'TCP', port: 80 },
    { name: 'dns', protocol: 'UDP', port: 53 },
    { name: 'side', protocol: 'TCP', port: 2 },
  ]);
  assert.equal(configHash(pod), 'h');
});

test('parsePod of a pod without status has no address, no phase and is not finished', () => {
  const pod = unwrap(parsePod({ metadata }));
  assert.deepEqual([pod.addresses, pod.phase, podFinished(pod), configHash(pod)], [[], '', false, undefined]);
  assert.deepEqual(unwrap(parsePod({ metadata, status: { podIP: '' } })).addresses, []);
  assert.deepEqual(unwrap(parsePod({ metadata, status: { podIP: '10.1.17.3' } })).addresses, ['10.1.17.3']);
  assert.equal(podFinished(unwrap(parsePod({ metadata, status: { phase: 'Failed' } }))), true);
  assert.equal(podFinished(unwrap(parsePod({ metadata, status: { phase: 'Succeeded' } }))), true);
});

test('parseNetwork fills in the defaults, and networkToJson writes what it reads', () => {
  const network = unwrap(parseNetwork({ metadata: { name: 'default' }, spec: {} }));
  assert.deepEqual(
    network.plans.map((p) => p.cidr),
    ['10.0.0.0/8', 'fd00:10::/64'],
  );
  assert.equal(network.segmentLabel, 'segment');
  assert.deepEqual(network.masquerade, { enabled: true, excludeCIDRs: [] });
  assert.deepEqual(unwrap(parseNetwork(networkToJson(network))), network);
});

test('parseNetwork names the field of each fault', () => {
  const plan = { cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 };
  const table: readonly (readonly [object, string])[] = [
    [{ plans: [] }, 'spec.plans'],
    [{ plans: [plan, plan] }, 'spec.plans'],
    [{ plans: [{ ...plan, endpointBits: 9 }] }, 'spec.plans[0]'],
    [{ plans: [{ ...plan, cidr: '10.1.0.0/8' }] }, 'spec.plans[0]'],
    [{ plans: [{ ...plan, hostBits: 0 }] }, 'spec.plans[0].hostBits'],
    [{ plans: [{ ...plan, hostBits: '8' }] }, 'spec.plans[0].hostBits'],
    [{ plans: null }, 'spec.plans'],
    [{ segmentLabel: '' }, 'spec.segmentLabel'],
    [{ reservedCIDRs: ['10.96.0.0/12', '10.96.0.1/12'] }, 'spec.reservedCIDRs[1]'],
    [{ mtu: 65_536 }, 'spec.mtu'],
    [{ masquerade: true }, 'spec.masquerade'],
  ];
  for (const [spec, field] of table) {
    assert.deepEqual(faults(parseNetwork({ metadata, spec })), [field], JSON.stringify(spec));
  }
});

test('parseHost reads spec and the exceptions in status', () => {
  const exception = { namespace: 'x', pod: 'p', uid: 'u', addresses: ['10.1.17.3'], labels: { segment: '' } };
  const host = unwrap(
    parseHost({
      metadata,
      spec: { id: 1, ranges: ['10.1.0.0/16'], addresses: ['192.168.99.11'], labels: { zone: 'z' } },
      status: { exceptions: [exception] },
    }),
  );
  assert.deepEqual([host.id, host.ranges, host.addresses], [1, ['10.1.0.0/16'], ['192.168.99.11']]);
  assert.deepEqual(host.exceptions, [{ ...exception, labels: new Map([['segment', '']]) }]);
  for (const spec of [{ ranges: [] }, { id: -1, ranges: [] }, { id: 2 ** 31, ranges: [] }, { id: 1.5, ranges: [] }]) {
    assert.deepEqual(faults(parseHost({ metadata, spec })), ['spec.id']);
  }
  assert.deepEqual(faults(parseHost({ metadata, spec: { id: 1 } })), ['spec.ranges']);
});

test('R38: parseTenant keeps the segment with the empty name and the one named default apart', () => {
  const segments = [
    { name: '', id: 1 },
    { name: 'default', id: 2 },
    { name: 'full', id: 0 },
    { name: 'fuller', id: 0 },
  ];
  assert.deepEqual(unwrap(parseTenant({ metadata, status: { id: 3, pooled: false, segments } })).segments, segments);
});

test('parseTenant without status has no ids; contradictions are refused', () => {
  const { id, pooled, segments } = unwrap(parseTenant({ metadata }));
  assert.deepEqual([id, pooled, segments], [0, false, []]);
  assert.deepEqual(faults(parseTenant({ metadata, status: { id: 1, pooled: true } })), ['status.id']);
  for (const two of [
    [
      { name: 'a', id: 1 },
      { name: 'b', id: 1 },
    ],
    [
      { name: 'a', id: 1 },
      { name: 'a', id: 2 },
    ],
  ]) {
    assert.deepEqual(faults(parseTenant({ metadata, status: { segments: two } })), ['status.segments']);
  }
});

test('parseHostReport reads leases, acknowledgements, use, conditions and policies that fail closed', () => {
  const status = {
    leases: [
      { tenant: 0, segment: 0, count: 2 },
      { tenant: 1, segment: 1, count: 1 },
    ],
    acknowledged: ['u'],
    use: { endpoints: 1, pool: 2 },
    conditions: [{ type: 'T', status: 'True', reason: 'R', message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    unenforced: [
      { apiVersion: 'a/v1', kind: 'K', namespace: 'x', name: 'p', uid: 'u', message: 'm' },
      { apiVersion: 'a/v1', kind: 'C', namespace: '', name: 'q', uid: 'w', generation: 3, message: '' },
    ],
  };
  const { meta: _meta, ...rest } = unwrap(parseHostReport({ metadata, status }));
  assert.deepEqual(rest, status);
  assert.deepEqual(unwrap(parseHostReport({ metadata })).use, { endpoints: 0, pool: 0 });
  assert.deepEqual(faults(parseHostReport({ metadata, status: { leases: [{ tenant: -1, segment: 0 }] } })), [
    'status.leases[0].tenant',
  ]);
});
