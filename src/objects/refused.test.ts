import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { isJsonObject } from './field.ts';
import { refusal } from './refused.ts';

const old = {
  apiVersion: 'extensions/v1beta1',
  kind: 'NetworkPolicy',
  metadata: { name: 'web', namespace: 'tenant-a', uid: 'u', resourceVersion: '7', labels: { app: 'web' } },
  spec: { podSelector: { matchLabels: { app: 'web' } }, ingress: [{ ports: [{ port: 80 }] }] },
};

test('refusal of an extensions/v1beta1 NetworkPolicy shows the v1 form, which can be pasted', () => {
  const message = refusal(old) ?? '';
  assert.match(message, /^NetworkPolicy web: extensions\/v1beta1 is refused/);
  assert.deepEqual(parse(message.slice(message.indexOf('apiVersion:'))), {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'web', namespace: 'tenant-a', labels: { app: 'web' } },
    spec: old.spec,
  });
});

test('refusal is for that kind alone, and takes any JSON', () => {
  assert.equal(refusal({ ...old, apiVersion: 'networking.k8s.io/v1' }), undefined);
  assert.equal(refusal({ ...old, kind: 'Ingress' }), undefined);
  fc.assert(fc.property(fc.jsonValue(), (json) => refusal(json) === undefined));
  fc.assert(fc.property(fc.jsonValue(), (spec) => typeof refusal({ ...old, metadata: spec, spec }) === 'string'));
  fc.assert(
    fc.property(fc.jsonValue(), (json) => refusal(isJsonObject(json) ? { ...json, kind: 'Pod' } : json) === undefined),
  );
});
