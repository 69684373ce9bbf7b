import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Address, familyOf, parseAddress } from '../../src/addr/address.ts';
import { parseCidr } from '../../src/addr/cidr.ts';
import { parseDemoPolicy } from '../../src/objects/demo-policy.ts';
import { isJsonObject, type JsonObject } from '../../src/objects/field.ts';
import { parseHostReport } from '../../src/objects/host-report.ts';
import { parseHost } from '../../src/objects/host.ts';
import { parseIdClaim } from '../../src/objects/id-claim.ts';
import type { Parsed } from '../../src/objects/meta.ts';
import { ALPHA_ISOLATION, BETA_ISOLATION, parseNamespace } from '../../src/objects/namespace.ts';
import { parseNetwork } from '../../src/objects/network.ts';
import { parseNode } from '../../src/objects/node.ts';
import { parsePolicyTrace } from '../../src/objects/policy-trace.ts';
import { parsePod } from '../../src/objects/pod.ts';
import { parseTenant } from '../../src/objects/tenant.ts';
import { FakeNft } from '../../src/nft/fake-nft.ts';
import { replaceText } from '../../src/nft/text.ts';
import { plan } from '../../src/plan/desired.ts';
import { identityIndex } from '../../src/plan/identity.ts';
import { forwardVerdict } from '../../src/plan/rules-interpreter.ts';
import { pol1, snapshotOf } from '../../src/plan/snapshot-fixture.ts';
import type { Snapshot } from '../../src/plan/snapshot.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { demoPolicy } from '../../src/policy/from-demo.ts';
import { mutants } from '../support/mutants.ts';

const RUNS = 10_000;
const metadata = (name: string, namespace = ''): object => ({
  name,
  ...(namespace === '' ? {} : { namespace }),
  uid: `uid-${namespace}-${name}`,
  resourceVersion: '7',
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels: { segment: 'backend', app: 'web' },
});
const exceptions = [
  { namespace: 'tenant-a', pod: 'x', uid: 'u-x', addresses: ['10.2.17.9'], labels: { segment: 'frontend' } },
];
const host = (id: number): object => ({
  metadata: metadata(`minion${id}`),
  spec: { id, ranges: [`10.${id}.0.0/16`, `fd00:10:0:0:${id}::/80`], addresses: [`192.168.99.${10 + id}`], labels: {} },
  status: { exceptions },
});
const pod = (name: string, ip: string): object => ({
  metadata: metadata(name, 'tenant-a'),
  spec: { nodeName: 'minion2', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 80 }] }] },
  status: { phase: 'Running', podIP: ip, podIPs: [{ ip }, { ip: 'fd00:10::2:1:2:9' }] },
});
const policy = (from: object[]): object => ({
  apiVersion: 'romana.io/demo/v1',
  kind: 'NetworkPolicy',
  metadata: metadata('pol1', 'tenant-a'),
  spec: { podSelector: { segment: 'backend' }, allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }], from } },
});

/** Every kind that we read, by its parser, as it may be. */
const KINDS = {
  host: { parse: parseHost, seeds: [host(1), host(2)] },
  tenant: {
    parse: parseTenant,
    seeds: [{ metadata: metadata('tenant-a'), status: { id: 1, segments: [{ name: 'frontend', id: 1 }] } }],
  },
  namespace: {
    parse: parseNamespace,
    seeds: [
      { metadata: { ...metadata('tenant-a'), annotations: { [ALPHA_ISOLATION]: 'on' } } },
      {
        metadata: {
          ...metadata('tenant-a'),
          annotations: { [BETA_ISOLATION]: '{"ingress":{"isolation":"DefaultDeny"}}' },
        },
      },
    ],
  },
  policy: { parse: parseDemoPolicy, seeds: [policy([{ pods: { segment: 'frontend' } }]), policy([])] },
  pod: { parse: parsePod, seeds: [pod('web', '10.2.18.9')] },
  node: {
    parse: parseNode,
    seeds: [{ metadata: metadata('n'), status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } }],
  },
  network: {
    parse: parseNetwork,
    seeds: [
      {
        metadata: metadata('default'),
        spec: {
          reservedCIDRs: ['10.96.0.0/12'],
          plans: [{ cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 }],
        },
      },
    ],
  },
  claim: {
    parse: parseIdClaim,
    seeds: [
      { metadata: metadata('tenant-3'), spec: { kind: 'Tenant', id: 3, holder: { name: 'tenant-a', uid: 'u' } } },
    ],
  },
  trace: {
    parse: parsePolicyTrace,
    seeds: [
      {
        metadata: metadata('explain-1'),
        spec: { host: 'n', direction: 'egress', from: '10.1.17.3', to: '10.2.17.3', protocol: 'TCP', port: 80 },
        status: {
          verdict: 'deny',
          message: '',
          path: ['forward'],
          chain: 'in-a',
          handle: 7,
          position: 1,
          rule: 'drop',
        },
      },
    ],
  },
  report: {
    parse: parseHostReport,
    seeds: [
      {
        metadata: metadata('minion1'),
        status: { leases: [{ tenant: 1, segment: 2, count: 3 }], acknowledged: ['u'], use: { endpoints: 3 } },
      },
    ],
  },
} as const;

const inputs = fc.oneof(
  ...Object.entries(KINDS).map(([kind, { seeds }]) =>
    fc.record({ kind: fc.constant(kind as keyof typeof KINDS), json: mutants(seeds) }),
  ),
);

test('every parser gives an object or faults with their places, whatever the API server sends', () => {
  for (const { parse, seeds } of Object.values(KINDS))
    for (const seed of seeds) assert.ok(parse(seed).ok, JSON.stringify(parse(seed)));
  fc.assert(
    fc.property(inputs, ({ kind, json }) => {
      const parsed: Parsed<unknown> = KINDS[kind].parse(json);
      if (parsed.ok) return;
      assert.ok(parsed.error.length > 0);
      for (const { field, message } of parsed.error) assert.ok(typeof field === 'string' && message !== '');
    }),
    { numRuns: RUNS },
  );
});

/** A demo policy's spec as a plain value; what it opens can be read off it. */
function opened(json: unknown): unknown {
  const parsed = parseDemoPolicy(json);
  if (!parsed.ok) return undefined;
  const { podSelector, allowIncoming } = parsed.value;
  const from = allowIncoming?.from?.map(({ pods }) => ({ pods: Object.fromEntries(pods) }));
  const ports = allowIncoming?.toPorts?.map(({ port, protocol }) => ({ port, protocol }));
  return {
    podSelector: Object.fromEntries(podSelector),
    ...(allowIncoming === undefined
      ? {}
      : { allowIncoming: { ...(ports && { toPorts: ports }), ...(from && { from }) } }),
  };
}

test('R25: a policy that is read is read to the letter, so that none opens more than it says', () => {
  let read = 0;
  fc.assert(
    fc.property(mutants(KINDS.policy.seeds), (json) => {
      const found = opened(json);
      if (found === undefined) return;
      read += 1;
      // Whoever wrote it: `protocol` may be left out, nothing else may differ.
      const spec = structuredClone((json as JsonObject)['spec']) as JsonObject;
      const allow = spec['allowIncoming'];
      const ports =
        isJsonObject(allow) && Array.isArray(allow['toPorts']) ? (allow['toPorts'] as { protocol?: string }[]) : [];
      for (const port of ports) port.protocol ??= 'TCP';
      assert.deepEqual(JSON.parse(JSON.stringify(found)), JSON.parse(JSON.stringify(spec)));
    }),
    { numRuns: RUNS },
  );
  assert.ok(read > RUNS / 20, `only ${read} could be read`);
});

test('a namespace is open only when its annotations are missing or say so exactly', () => {
  fc.assert(
    fc.property(mutants(KINDS.namespace.seeds), (json) => {
      const parsed = parseNamespace(json);
      if (!parsed.ok || parsed.value.isolated) return;
      const annotations = ((json as JsonObject)['metadata'] as JsonObject)['annotations'];
      const get = (key: string): unknown =>
        isJsonObject(annotations) && Object.hasOwn(annotations, key) ? annotations[key] : undefined;
      assert.ok([undefined, 'off'].includes(get(ALPHA_ISOLATION) as string));
      const beta = get(BETA_ISOLATION);
      assert.ok(beta === undefined || ['{}', '{"ingress":{}}'].includes(JSON.stringify(JSON.parse(beta as string))));
    }),
    { numRuns: RUNS },
  );
});

const BASE = snapshotOf({
  pods: [
    { namespace: 'tenant-a', name: 'mine', labels: { segment: 'backend' }, host: 1, endpoint: 3 },
    { namespace: 'tenant-b', name: 'other', labels: { segment: 'frontend' }, host: 1, endpoint: 4 },
  ],
  policies: [pol1('tenant-a')],
});
const FROM = ['10.2.17.9', '10.2.18.9', '10.2.33.3', '10.9.17.3', '192.168.99.12', '192.0.2.7'].map((ip) => {
  const address = parseAddress(ip);
  if (!address.ok) throw new Error(address.error);
  return address.value;
});

/** The snapshot of an agent that was sent these objects in place of those that it had; unreadable ones are not there. */
function withObjects(objects: readonly { readonly kind: keyof typeof KINDS; readonly json: unknown }[]): Snapshot {
  const hosts = new Map(BASE.hosts);
  const tenants = new Map(BASE.tenants);
  const namespaces = new Map(BASE.namespaces);
  const policies = [...BASE.policies];
  const peerPods = [...BASE.peerPods];
  for (const { kind, json } of objects) {
    if (kind === 'host') put(hosts, parseHost(json), (name) => name !== BASE.node);
    if (kind === 'tenant') put(tenants, parseTenant(json));
    if (kind === 'namespace') put(namespaces, parseNamespace(json));
    const found = kind === 'policy' ? parseDemoPolicy(json) : undefined;
    if (found?.ok === true) policies.push(demoPolicy(found.value));
    const seen = kind === 'pod' ? parsePod(json) : undefined;
    if (seen?.ok === true) peerPods.push(seen.value);
  }
  return { ...BASE, hosts, tenants, namespaces, policies, peerPods };
}

function put<T extends { readonly meta: { readonly name: string } }>(
  to: Map<string, T>,
  parsed: Parsed<T>,
  may: (name: string) => boolean = () => true,
): void {
  if (parsed.ok && may(parsed.value.meta.name)) to.set(parsed.value.meta.name, parsed.value);
}

test('whatever objects come, the plan is one that the kernel can take and that does what evaluate says', () => {
  fc.assert(
    fc.property(fc.array(inputs, { minLength: 1, maxLength: 4 }), (objects) => {
      const snapshot = withObjects(objects);
      const { ruleset } = plan(snapshot);
      new FakeNft().run(replaceText(ruleset));
      const index = identityIndex(snapshot);
      const world = { segmentLabel: 'segment', namespaces: snapshot.namespaces, policies: snapshot.policies };
      for (const { addresses, hostInterface } of snapshot.leases) {
        const daddr = addresses.find((address) => familyOf(address) === 4) as Address;
        for (const saddr of FROM) {
          const packet = { iifname: 'eth0', oifname: hostInterface, saddr, daddr, l4proto: 'tcp', dport: 80 } as const;
          const port = { protocol: 'TCP', port: 80 } as const;
          const { ingress } = evaluate(world, index.partyOf(saddr), index.partyOf(daddr), port);
          assert.equal(
            forwardVerdict(ruleset, packet),
            ingress.verdict === 'allow' ? 'accept' : 'drop',
            `${saddr} ${JSON.stringify(ingress)}`,
          );
        }
      }
    }),
    { numRuns: RUNS / 4 },
  );
});

test('parseAddress and parseCidr take canonical text and nothing that the kernel would read otherwise', () => {
  fc.assert(
    fc.property(
      mutants([{ a: '10.1.17.3', b: 'fd00:10::1:1:1:3', c: '10.1.0.0/16', d: 'fd00:10:0:0:1::/80' }]),
      (json) => {
        for (const text of Object.values(json as object) as unknown[]) {
          if (typeof text !== 'string') continue;
          const address = parseAddress(text);
          if (address.ok) assert.deepEqual(parseAddress(address.value), address);
          const cidr = parseCidr(text);
          if (cidr.ok) assert.deepEqual(parseCidr(cidr.value), cidr);
        }
      },
    ),
    { numRuns: RUNS },
  );
});
