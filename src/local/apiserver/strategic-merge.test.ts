import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusError } from './status-error.ts';
import { strategicMerge } from './strategic-merge.ts';

const POD = {
  metadata: { name: 'p', labels: { a: '1', b: '2' }, finalizers: ['x'] },
  spec: {
    containers: [
      { name: 'one', image: 'i', env: [{ name: 'A', value: '1' }] },
      { name: 'two', image: 'j' },
    ],
    tolerations: [{ key: 'k' }],
  },
};

test('strategicMerge merges objects and removes by null, and leaves its target alone', () => {
  const before = structuredClone(POD);
  const next = strategicMerge(POD, { metadata: { labels: { a: null, c: '3' } } });
  assert.deepEqual(next['metadata'], { name: 'p', labels: { b: '2', c: '3' }, finalizers: ['x'] });
  assert.deepEqual(POD, before);
});

test('strategicMerge merges lists by their key, replaces the others and adds to sets', () => {
  const next = strategicMerge(POD, {
    metadata: { finalizers: ['y', 'x'] },
    spec: {
      containers: [
        { name: 'two', image: 'new' },
        { name: 'one', env: [{ name: 'B', value: '2' }] },
        { name: 'three', image: 'k' },
      ],
      tolerations: [{ key: 'other' }],
    },
  });
  assert.deepEqual(next['spec'], {
    containers: [
      { name: 'two', image: 'new' },
      {
        name: 'one',
        image: 'i',
        env: [
          { name: 'B', value: '2' },
          { name: 'A', value: '1' },
        ],
      },
      { name: 'three', image: 'k' },
    ],
    tolerations: [{ key: 'other' }],
  });
  assert.deepEqual((next['metadata'] as { finalizers: string[] }).finalizers, ['y', 'x']);
});

test('strategicMerge obeys its directives', () => {
  const merged = (patch: object): unknown => strategicMerge(POD, patch as never);
  const names = (patch: object): unknown =>
    (merged({ spec: patch }) as typeof POD).spec.containers.map((container) => container.name);
  assert.deepEqual(names({ containers: [{ $patch: 'delete', name: 'one' }] }), ['two']);
  assert.deepEqual(names({ containers: [{ $patch: 'replace' }, { name: 'new' }] }), ['new']);
  assert.deepEqual(names({ '$setElementOrder/containers': [{ name: 'two' }, { name: 'one' }] }), ['two', 'one']);
  const { metadata } = merged({ metadata: { '$deleteFromPrimitiveList/finalizers': ['x'] } }) as typeof POD;
  assert.deepEqual(metadata.finalizers, []);
  const retained = merged({ metadata: { $retainKeys: ['name'], name: 'p' } }) as typeof POD;
  assert.deepEqual(retained.metadata, { name: 'p' });
  const replaced = merged({ metadata: { labels: { $patch: 'replace', z: '9' } } }) as typeof POD;
  assert.deepEqual(replaced.metadata.labels, { z: '9' });
});

test('strategicMerge refuses patches that make no sense', () => {
  for (const patch of [
    { spec: { containers: [{ image: 'x' }] } },
    { spec: { containers: ['one'] } },
    { spec: { $patch: 'other' } },
    { metadata: { $retainKeys: 'name' } },
  ])
    assert.throws(
      () => strategicMerge(POD, patch),
      (error) => error instanceof StatusError && error.code === 400,
    );
});
