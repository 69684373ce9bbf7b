import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { unwrap } from '../lib/result.ts';
import { isLegacyDemo, parseDemoPolicy, toLegacy, toModern } from './demo-policy.ts';
import { isJsonObject, type JsonObject } from './field.ts';
import { parseNamespace } from './namespace.ts';
import { parsePod } from './pod.ts';

function beside(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8');
}

function demoFile(name: string): string {
  return beside(`../../deploy/demo/${name}`);
}

function pol1(): JsonObject {
  const json: unknown = JSON.parse(demoFile('pol1.json'));
  assert.ok(isJsonObject(json));
  return json;
}

/** What a text says apart from its indentation and its kind of quotes. */
function wordsByLine(text: string): readonly string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().replaceAll("'", '"'));
}

const modern = {
  apiVersion: 'demo.romana.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'p', namespace: 'tenant-a' },
  spec: { podSelector: { segment: 'backend' } },
};

test('pol1.json is the policy of the founding page with braces put around it, to the letter', () => {
  const page = beside('page-policy.txt').replaceAll(/^\t/gm, '');
  assert.equal(demoFile('pol1.json'), `{\n${page}}\n`);
});

test('tenant-a.yaml, tenant-b.yaml and nginx-backend.yaml say what the founding page says', () => {
  assert.deepEqual(wordsByLine(demoFile('tenant-a.yaml')), wordsByLine(beside('page-namespace.txt')));
  assert.equal(demoFile('tenant-b.yaml'), demoFile('tenant-a.yaml').replaceAll('tenant-a', 'tenant-b'));
  assert.deepEqual(wordsByLine(demoFile('nginx-backend.yaml')), wordsByLine(beside('page-pod.txt')));
  for (const name of ['tenant-a', 'tenant-b']) {
    const namespace = unwrap(parseNamespace(parse(demoFile(`${name}.yaml`))));
    assert.equal(namespace.meta.name, name);
    assert.equal(namespace.meta.labels.get('name'), name);
    assert.equal(namespace.isolated, true);
  }
  const pod = unwrap(parsePod(parse(demoFile('nginx-backend.yaml'))));
  assert.deepEqual(pod.ports, [{ name: '', protocol: 'TCP', port: 80 }]);
  assert.equal(pod.meta.labels.get('segment'), 'backend');
});

test('parseDemoPolicy reads pol1 in both spellings of 2016 and in the form of today', () => {
  const { apiVersion, ...rest } = pol1();
  for (const json of [pol1(), { groupVersion: apiVersion, ...rest }, toModern(pol1())]) {
    const { podSelector, allowIncoming } = unwrap(parseDemoPolicy(json));
    assert.deepEqual([...podSelector], [['segment', 'backend']]);
    assert.deepEqual(allowIncoming, {
      toPorts: [{ protocol: 'TCP', port: 80 }],
      from: [{ pods: new Map([['segment', 'frontend']]) }],
    });
  }
});

test('toModern and toLegacy are inverse, for one policy and for lists', () => {
  assert.deepEqual(toLegacy(toModern(pol1())), pol1());
  assert.deepEqual(toModern(toLegacy(modern)), modern);
  const list = { apiVersion: 'demo.romana.io/v1', kind: 'NetworkPolicyList', metadata: {}, items: [modern, modern] };
  const legacy = toLegacy(list);
  assert.deepEqual(legacy['items'], [toLegacy(modern), toLegacy(modern)]);
  assert.deepEqual(toModern(legacy), list);
  assert.deepEqual(Object.keys(toModern({ groupVersion: 'romana.io/demo/v1' })), ['apiVersion']);
});

test('toModern and toLegacy leave other objects as they are', () => {
  const other = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };
  assert.equal(toModern(other), other);
  assert.equal(toLegacy(other), other);
  assert.equal(isLegacyDemo(other), false);
  assert.equal(isLegacyDemo(pol1()), true);
});

test('parseDemoPolicy tells a missing list from an empty one', () => {
  const allow = (allowIncoming: object): unknown =>
    unwrap(parseDemoPolicy({ ...modern, spec: { ...modern.spec, allowIncoming } })).allowIncoming;
  assert.equal(unwrap(parseDemoPolicy(modern)).allowIncoming, undefined);
  assert.deepEqual(allow({}), {});
  assert.deepEqual(allow({ from: [], toPorts: [] }), { from: [], toPorts: [] });
  assert.deepEqual(allow({ toPorts: [{ port: 53, protocol: 'UDP' }, { port: 80 }] }), {
    toPorts: [
      { port: 53, protocol: 'UDP' },
      { port: 80, protocol: 'TCP' },
    ],
  });
});

test('R25: parseDemoPolicy refuses a policy with a field that it does not know, or that would open too much', () => {
  const table: readonly (readonly [unknown, string])[] = [
    [{ podSelector: {}, allowIncoming: { form: [] } }, 'spec.allowIncoming.form'],
    [{ podSelector: {}, allowIncoming: { from: [{}] } }, 'spec.allowIncoming.from[0].pods'],
    [
      { podSelector: {}, allowIncoming: { from: [{ pods: {}, namespaces: {} }] } },
      'spec.allowIncoming.from[0].namespaces',
    ],
    [{ podSelector: {}, allowIncoming: { from: null } }, 'spec.allowIncoming.from'],
    [{ podSelector: {}, allowIncoming: { toPorts: null } }, 'spec.allowIncoming.toPorts'],
    [
      { podSelector: {}, allowIncoming: { toPorts: [{ port: 80, endPort: 90 }] } },
      'spec.allowIncoming.toPorts[0].endPort',
    ],
    [{ podSelector: {}, allowIncoming: { toPorts: [{ protocol: 'TCP' }] } }, 'spec.allowIncoming.toPorts[0].port'],
    [{ podSelector: {}, allowIncoming: { toPorts: [{ port: 0 }] } }, 'spec.allowIncoming.toPorts[0].port'],
    [{ podSelector: {}, allowIncoming: { toPorts: [{ port: 65_536 }] } }, 'spec.allowIncoming.toPorts[0].port'],
    [
      { podSelector: {}, allowIncoming: { toPorts: [{ port: 80, protocol: 'tcp' }] } },
      'spec.allowIncoming.toPorts[0].protocol',
    ],
    [{ podSelector: { matchLabels: { a: 'b' } } }, 'spec.podSelector[matchLabels]'],
    [{ podSelector: {}, ingress: [] }, 'spec.ingress'],
    [{ allowIncoming: {} }, 'spec.podSelector'],
    [{ podSelector: null }, 'spec.podSelector'],
    [undefined, 'spec'],
  ];
  for (const [spec, field] of table) {
    const result = parseDemoPolicy({ ...modern, spec });
    assert.deepEqual(result.ok ? [] : result.error.map((e) => e.field), [field], JSON.stringify(spec));
  }
});

test('parseDemoPolicy refuses other versions and kinds', () => {
  for (const change of [
    { apiVersion: 'romana.io/v1' },
    { apiVersion: undefined },
    { kind: 'Pod' },
    { kind: undefined },
  ]) {
    assert.equal(parseDemoPolicy({ ...modern, ...change }).ok, false);
  }
});
