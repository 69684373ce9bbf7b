import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyDefaults, prune } from './structural-schema.ts';

test('prune takes unknown fields away, except where the schema keeps them', () => {
  const schema = {
    properties: {
      a: { type: 'object', properties: { b: {} } },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { c: { properties: {} } } },
      map: { additionalProperties: { properties: { d: {} } } },
      list: { items: { properties: { e: {} } } },
    },
  };
  const value = {
    x: 1,
    a: { b: 1, x: 1 },
    free: { y: 1, c: { z: 1 } },
    map: { any: { d: 1, x: 1 } },
    list: [{ e: 1, x: 1 }],
  };
  prune(value, schema);
  assert.deepEqual(value, { a: { b: 1 }, free: { y: 1, c: {} }, map: { any: { d: 1 } }, list: [{ e: 1 }] });
});

test('applyDefaults fills what is missing, inside what is there and what it made', () => {
  const schema = {
    properties: {
      a: { default: {}, properties: { b: { default: 1 } } },
      absent: { properties: { c: { default: 1 } } },
      kept: { nullable: true, default: 5 },
      list: { items: { properties: { d: { default: [1] } } } },
    },
  };
  const value = { kept: null, list: [{}, { d: 2 }] };
  applyDefaults(value, schema);
  assert.deepEqual(value, { a: { b: 1 }, kept: null, list: [{ d: [1] }, { d: 2 }] });
});
