import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileSchema, makeAjv } from './schema.ts';
import { applyDefaults, prune, toJsonSchema } from './structural-schema.ts';

function faults(schema: object, value: unknown): string[] {
  return compileSchema(makeAjv(), toJsonSchema(schema))(value).map((cause) => `${cause.field}: ${cause.message}`);
}

test('toJsonSchema keeps nullable, with and without enum and combinations', () => {
  const cases: [object, unknown, boolean][] = [
    [{ type: 'string', nullable: true }, null, true],
    [{ type: 'string' }, null, false],
    [{ type: 'string', nullable: true, enum: ['a'] }, null, true],
    [{ type: 'string', nullable: true, enum: ['a'] }, 'b', false],
    [{ nullable: true, anyOf: [{ type: 'string' }] }, null, true],
    [{ 'x-kubernetes-int-or-string': true }, 7, true],
    [{ 'x-kubernetes-int-or-string': true }, '7%', true],
    [{ 'x-kubernetes-int-or-string': true }, {}, false],
    [{ type: 'integer', minimum: 1, exclusiveMinimum: true }, 1, false],
    [{ type: 'integer', minimum: 1, exclusiveMinimum: false }, 1, true],
    [{ type: 'string', format: 'cidr' }, 'fd00::/64', true],
    [{ type: 'string', format: 'cidr' }, '10.0.0.0/33', false],
    [{ type: 'string', format: 'unheard-of' }, 'x', true],
  ];
  for (const [schema, value, right] of cases)
    assert.equal(faults(schema, value).length === 0, right, JSON.stringify([schema, value]));
});

test('compileSchema names fields as Kubernetes does', () => {
  const item = { type: 'object', required: ['cidr'], properties: { cidr: { type: 'string' } } };
  const schema = {
    type: 'object',
    properties: {
      list: { type: 'array', items: item },
      map: { type: 'object', additionalProperties: { type: 'integer' } },
    },
  };
  assert.deepEqual(faults(schema, { list: [{ cidr: 'x' }, {}, { cidr: 7 }], map: { 'a.b/c': 'x', d: 'y' } }), [
    'list[1].cidr: Required value',
    'list[2].cidr: Invalid value: 7: must be of type string',
    'map[a.b/c]: Invalid value: "x": must be of type integer',
    'map.d: Invalid value: "y": must be of type integer',
  ]);
});

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
