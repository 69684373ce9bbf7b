import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseDocument } from 'yaml';
import { unwrap } from '../lib/result.ts';
import { validateSchema } from '../local/apiserver/schema.ts';
import type { Cause } from '../local/apiserver/status-error.ts';
import { parseDemoPolicy, toModern } from './demo-policy.ts';
import { Field, isJsonObject, type JsonObject } from './field.ts';
import { parseHostReport } from './host-report.ts';
import { parseHost } from './host.ts';
import type { Parsed } from './meta.ts';
import { networkToJson, parseNetwork } from './network.ts';
import { parsePolicyTrace } from './policy-trace.ts';
import {
  apiVersionOf,
  DEMO_POLICIES,
  HOST_REPORTS,
  HOSTS,
  NETWORKS,
  POLICY_TRACES,
  TENANTS,
  type Resource,
} from './resources.ts';
import { parseTenant } from './tenant.ts';

const folder = new URL('../../deploy/crds/', import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
const date = '2026-01-01T00:00:00Z';
const condition = { type: 'Ready', status: 'True', reason: 'Fine', message: 'all is well', lastTransitionTime: date };

function load(file: string): JsonObject {
  const document = parseDocument(readFileSync(new URL(file, folder), 'utf8'));
  assert.deepEqual([...document.errors, ...document.warnings], [], file);
  const json: unknown = document.toJS();
  assert.ok(isJsonObject(json), file);
  return json;
}

function versionOf(crd: JsonObject): Field {
  const version = Field.root(crd).get('spec').get('versions').items()[0];
  assert.ok(version !== undefined);
  return version;
}

/** Says what is wrong with an object by the schema of its kind, as an API server does. */
function schemaOf(r: Resource): (object: unknown) => readonly Cause[] {
  const schema = versionOf(load(`${r.plural}.yaml`))
    .get('schema')
    .get('openAPIV3Schema').value;
  return (object) => validateSchema(object, schema);
}

interface Case {
  readonly resource: Resource;
  readonly parse: (json: unknown) => Parsed<unknown>;
  readonly good: readonly object[];
  /** With parts that the parser does not read, but others do. */
  readonly goodUnread?: readonly object[];
  /** Faults that parser and schema must both see. */
  readonly bad: readonly object[];
}

const plan = { cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 };
const ping = { host: 'n1', direction: 'egress', from: '10.1.17.3', to: '10.2.17.3', protocol: 'ICMP' };
const question = { ...ping, protocol: 'TCP', port: 80 };
const exception = { namespace: 'x', pod: 'p', uid: 'u', addresses: ['10.1.17.3'], labels: { segment: '' } };
const defaultNetwork = networkToJson(unwrap(parseNetwork({ metadata: { name: 'default' }, spec: {} })));

const cases: readonly Case[] = [
  {
    resource: NETWORKS,
    parse: parseNetwork,
    good: [{ spec: {} }, defaultNetwork, { spec: { plans: [plan] } }],
    goodUnread: [{ spec: {}, status: { hostIdsLeft: 3, releases: ['u'], conditions: [condition] } }],
    bad: [
      {},
      { spec: { plans: [] } },
      { spec: { plans: [{ ...plan, hostBits: 0 }] } },
      { spec: { mtu: -1 } },
      { spec: { masquerade: { enabled: 1 } } },
      { spec: { reservedCIDRs: ['x'] } },
      { spec: { plans: null } },
    ],
  },
  {
    resource: HOSTS,
    parse: parseHost,
    good: [
      { spec: { id: 0, ranges: ['10.0.0.0/16'] } },
      {
        spec: { id: 1, ranges: [], addresses: ['fd00:99::11'], labels: { a: '' } },
        status: { exceptions: [exception] },
      },
    ],
    bad: [
      {},
      { spec: {} },
      { spec: { id: -1, ranges: [] } },
      { spec: { id: 2 ** 31, ranges: [] } },
      { spec: { id: 1, ranges: ['a'] } },
      { spec: { id: 1, ranges: [], labels: { a: 1 } } },
      { spec: { id: 1, ranges: [] }, status: { exceptions: [{}] } },
    ],
  },
  {
    resource: TENANTS,
    parse: parseTenant,
    good: [
      {},
      {
        status: {
          id: 1,
          pooled: false,
          segments: [
            { name: '', id: 1 },
            { name: 'default', id: 2 },
          ],
        },
      },
      { status: { pooled: true } },
    ],
    goodUnread: [{ status: { conditions: [condition] } }],
    bad: [
      { status: { id: -1 } },
      { status: { pooled: 'no' } },
      { status: { segments: [{ id: 1 }] } },
      { status: { segments: [{ name: 'a b', id: 1 }] } },
      { status: null },
    ],
  },
  {
    resource: HOST_REPORTS,
    parse: parseHostReport,
    good: [
      {},
      {
        status: {
          leases: [{ tenant: 0, segment: 0, count: 1 }],
          acknowledged: ['u'],
          use: { endpoints: 1, pool: 0 },
          conditions: [condition],
          unenforced: [
            { apiVersion: 'a/v1', kind: 'K', namespace: '', name: 'p', uid: 'u', generation: 1, message: 'm' },
          ],
        },
      },
    ],
    bad: [
      { status: { unenforced: [{ kind: 'K' }] } },
      { status: { leases: [{ tenant: 1 }] } },
      { status: { leases: [{ tenant: 1, segment: 1, count: 0 }] } },
      { status: { conditions: [{ ...condition, status: 'true' }] } },
      { status: { acknowledged: [1] } },
    ],
  },
  {
    resource: POLICY_TRACES,
    parse: parsePolicyTrace,
    good: [
      { spec: question },
      { spec: ping, status: { verdict: 'unknown', message: 'so' } },
      {
        spec: question,
        status: { verdict: 'deny', path: ['forward', 'in-a'], chain: 'in-a', comment: 'a/b', handle: 7, position: 1 },
      },
    ],
    bad: [
      {},
      { spec: { ...question, host: '' } },
      { spec: { ...question, direction: 'both' } },
      { spec: { ...question, from: '' } },
      { spec: { ...question, port: 0 } },
      { spec: { ...question, protocol: 'tcp' } },
      { spec: question, status: { verdict: 'perhaps' } },
      { spec: question, status: { position: 0 } },
    ],
  },
  {
    resource: DEMO_POLICIES,
    parse: parseDemoPolicy,
    good: [
      { spec: { podSelector: {} } },
      {
        spec: {
          podSelector: { a: '' },
          allowIncoming: { from: [{ pods: {} }], toPorts: [{ port: 80 }, { port: 53, protocol: 'UDP' }] },
        },
      },
      pol1(),
    ],
    bad: [
      {},
      { spec: {} },
      { spec: { podSelector: { a: 'b c' } } },
      { spec: { podSelector: {}, allowIncoming: { toPorts: [{ port: 0 }] } } },
      { spec: { podSelector: {}, allowIncoming: { toPorts: [{ port: 1, protocol: 'ICMP' }] } } },
      { spec: { podSelector: {}, allowIncoming: { from: [{}] } } },
      { spec: { podSelector: {}, allowIncoming: { from: null } } },
    ],
  },
];

function pol1(): JsonObject {
  const json: unknown = JSON.parse(readFileSync(new URL('../demo/pol1.json', folder), 'utf8'));
  assert.ok(isJsonObject(json));
  return toModern(json);
}

/** `part` as a whole object of the kind. */
function whole({ resource }: Case, part: object): JsonObject {
  return { metadata: { name: 'a' }, ...part, apiVersion: apiVersionOf(resource), kind: resource.kind };
}

test('every CRD is one that apiextensions/v1 takes: names, one version, a structural schema that says what things are', () => {
  for (const file of files) {
    const crd = Field.root(load(file));
    assert.equal(crd.get('apiVersion').value, 'apiextensions.k8s.io/v1');
    const spec = crd.get('spec');
    const names = spec.get('names');
    assert.equal(file, `${names.get('plural').string()}.yaml`);
    assert.equal(
      crd.get('metadata').get('name').value,
      `${names.get('plural').string()}.${spec.get('group').string()}`,
    );
    assert.equal(names.get('shortNames').items().length, 1, file);
    const schema = versionOf(load(file)).get('schema').get('openAPIV3Schema');
    assert.ok(schema.get('description').string().length > 20, file);
    everyNode(schema, (node) => assert.equal(typeof node.get('type').value, 'string', node.path));
    assert.deepEqual(crd.errors, []);
  }
});

function everyNode(schema: Field, visit: (schema: Field) => void): void {
  visit(schema);
  const properties = schema.get('properties');
  for (const name of isJsonObject(properties.value) ? Object.keys(properties.value) : [])
    everyNode(properties.get(name), visit);
  for (const key of ['items', 'additionalProperties']) if (!schema.get(key).absent) everyNode(schema.get(key), visit);
}

test('the CRDs are those of the resources, with a status subresource where there is a status', () => {
  for (const { resource } of cases) {
    const crd = Field.root(load(`${resource.plural}.yaml`));
    const spec = crd.get('spec');
    assert.equal(spec.get('group').value, resource.group);
    assert.equal(spec.get('names').get('kind').value, resource.kind);
    assert.equal(spec.get('scope').value, resource.namespaced ? 'Namespaced' : 'Cluster');
    const version = versionOf(load(`${resource.plural}.yaml`));
    assert.equal(version.get('name').value, resource.version);
    const hasStatus = !version.get('schema').get('openAPIV3Schema').get('properties').get('status').absent;
    assert.equal(!version.get('subresources').get('status').absent, hasStatus, resource.plural);
  }
});

test('examples pass schema and parser, faults pass neither', () => {
  for (const one of cases) {
    const validate = schemaOf(one.resource);
    for (const part of [...one.good, ...(one.goodUnread ?? [])]) {
      const object = whole(one, part);
      assert.deepEqual(validate(object), [], JSON.stringify(object));
      assert.deepEqual(one.parse(object), { ok: true, value: unwrap(one.parse(object)) });
    }
    for (const part of one.bad) {
      const object = whole(one, part);
      assert.notDeepEqual(validate(object), [], JSON.stringify(object));
      assert.equal(one.parse(object).ok, false, JSON.stringify(object));
    }
  }
});

/** `json` with one of its values, at whatever depth, replaced by another or taken away. */
function changed(json: unknown, at: readonly number[], value: unknown): unknown {
  const [first, ...rest] = at;
  if (first === undefined || typeof json !== 'object' || json === null) return value;
  const keys = Object.keys(json);
  const key = keys[first % Math.max(keys.length, 1)];
  if (key === undefined) return value;
  const inside = changed(Object.getOwnPropertyDescriptor(json, key)?.value, rest, value);
  if (Array.isArray(json)) return json.map((item: unknown, i) => (String(i) === key ? inside : item));
  const others = Object.entries(json).filter(([k]) => k !== key);
  return Object.fromEntries(inside === undefined ? others : [...others, [key, inside]]);
}

test('what a parser takes, the schema takes', () => {
  const values = fc.constantFrom<unknown[]>(
    undefined,
    null,
    true,
    0,
    1,
    -1,
    1.5,
    70_000,
    2 ** 31,
    '',
    'a',
    'a b',
    '10.0.0.0/8',
    '10.0.0.1',
    'TCP',
    [],
    [1],
    [{}],
    {},
    { a: 'b' },
    { a: 1 },
  );
  for (const one of cases) {
    const validate = schemaOf(one.resource);
    const example = fc.constantFrom(...one.good.map((part) => whole(one, part)));
    fc.assert(
      fc.property(example, fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }), values, (object, at, value) => {
        const next = isJsonObject(object) ? { ...object, ...bodyChanged(object, at, value) } : object;
        if (one.parse(next).ok) assert.deepEqual(validate(next), [], JSON.stringify(next));
      }),
      { numRuns: 300 },
    );
  }
});

/** Changes spec and status alone: metadata is the API server's own. */
function bodyChanged({ spec, status }: JsonObject, at: readonly number[], value: unknown): object {
  const body = { ...(spec === undefined ? {} : { spec }), ...(status === undefined ? {} : { status }) };
  const next = changed(body, at, value);
  return isJsonObject(next) ? next : body;
}
