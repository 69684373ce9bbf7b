import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateSchema } from './schema.ts';

function faults(schema: object, value: unknown): string[] {
  return validateSchema(value, schema).map((cause) => `${cause.field}: ${cause.message}`);
}

test('validateSchema knows nullable, int-or-string, exclusive bounds and formats', () => {
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

test('validateSchema names fields as Kubernetes does', () => {
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
    'list[2].cidr: Invalid value: "integer": list[2].cidr in body must be of type string: "integer"',
    'map.a.b/c: Invalid value: "string": map.a.b/c in body must be of type integer: "string"',
    'map.d: Invalid value: "string": map.d in body must be of type integer: "string"',
  ]);
});
