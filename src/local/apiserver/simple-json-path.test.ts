import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileJsonPath } from './simple-json-path.ts';

const OBJECT = {
  spec: { plans: [{ cidr: 'a' }, { cidr: 'b' }], 'odd.name': 1 },
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
};

function find(path: string): readonly unknown[] {
  return compileJsonPath(path)(OBJECT);
}

test('compileJsonPath finds fields, elements and elements by a field', () => {
  assert.deepEqual(find('.spec.plans[1].cidr'), ['b']);
  assert.deepEqual(find('.spec.plans[*].cidr'), ['a', 'b']);
  assert.deepEqual(find("['spec']['odd.name']"), [1]);
  assert.deepEqual(find('.status.conditions[?(@.type=="Ready")].status'), ['True']);
  assert.deepEqual(find('.status.conditions[?(@.type=="Other")].status'), []);
  assert.deepEqual(find('.spec.missing.deeper[0]'), []);
});

test('compileJsonPath refuses what it does not understand', () => {
  for (const path of ['spec', '.spec..cidr', '.a[1:2]', '.a[?(@.b>1)]', '.a['])
    assert.throws(() => compileJsonPath(path), /is not understood/, path);
});
