import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import type { ApiObject } from './api-object.ts';
import { type Change, Store } from './store.ts';

function make(namespace: string, name: string, value = 0): ApiObject {
  const metadata = { namespace, name, uid: `${namespace}-${name}`, resourceVersion: '', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'Thing', metadata, value };
}

function open(t: TestContext, historyLimit?: number): Store {
  const store = new Store(':memory:', historyLimit);
  t.after(() => store.close());
  return store;
}

test('Store.transaction that throws leaves objects, version and watchers as they were', (t) => {
  const store = open(t);
  const told: Change[] = [];
  store.onChange = (change) => told.push(change);
  store.transaction(() => store.put('things', make('a', 'one')));
  assert.throws(
    () =>
      store.transaction(() => {
        store.put('things', make('a', 'two'));
        throw new Error('on purpose');
      }),
    /on purpose/,
  );
  assert.deepEqual([store.version, told.length, store.get('things', 'a', 'two')], [1, 1, undefined]);
  store.transaction(() => store.put('things', make('a', 'three')));
  assert.equal(store.version, 2);
});

test('Store.transaction as a dry run gives its result and nothing else', (t) => {
  const store = open(t);
  const made = store.transaction(() => store.put('things', make('a', 'one')), true);
  assert.equal(made.metadata.resourceVersion, '1');
  assert.deepEqual([store.version, store.get('things', 'a', 'one')], [0, undefined]);
});

test('Store.put outside a transaction is a bug and says so', (t) => {
  assert.throws(() => open(t).put('things', make('a', 'one')), /outside a transaction/);
});

const STEP = fc.record({
  namespace: fc.constantFrom('a', 'b'),
  name: fc.constantFrom('x', 'y', 'z'),
  remove: fc.boolean(),
});

test('Store.list shows any version in the history as it was then', () => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 30 }), fc.constantFrom(undefined, 'a'), (steps, namespace) => {
      const store = new Store(':memory:');
      try {
        const list = (version?: number): string[] =>
          store.list('things', { namespace, version }).map((row) => row.text);
        const seen = [list()];
        for (const [i, step] of steps.entries()) {
          const old = store.get('things', step.namespace, step.name);
          store.transaction(() => {
            if (old === undefined) store.put('things', make(step.namespace, step.name, i));
            else if (step.remove) store.remove('things', structuredClone(old), old);
            else store.put('things', { ...structuredClone(old), value: i }, old);
          });
          seen.push(list());
        }
        for (const [version, expected] of seen.entries()) assert.deepEqual(list(version), expected);
      } finally {
        store.close();
      }
    }),
    { numRuns: 50 },
  );
});
