import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ENDPOINT_REST_MS, EndpointAllocator } from './endpoints.ts';

void test('EndpointAllocator gives never used ones in order, then the longest released', () => {
  const endpoints = new EndpointAllocator({ first: 3, last: 6 });
  assert.deepEqual([endpoints.take(0), endpoints.take(0), endpoints.take(0)], [3, 4, 5]);
  endpoints.release(4, 10);
  endpoints.release(3, 20);
  assert.deepEqual([endpoints.take(30), endpoints.take(30), endpoints.take(30)], [6, 4, 3]);
  assert.equal(endpoints.take(30), undefined);
});

void test('EndpointAllocator lets a released endpoint rest while the caller has another choice', () => {
  const endpoints = new EndpointAllocator({ first: 3, last: 3 });
  assert.equal(endpoints.take(0), 3);
  endpoints.release(3, 1000);
  assert.equal(endpoints.take(1000 + ENDPOINT_REST_MS - 1, 'rested'), undefined);
  assert.equal(endpoints.take(1000 + ENDPOINT_REST_MS, 'rested'), 3);
  endpoints.release(3, 1000 + ENDPOINT_REST_MS);
  assert.equal(endpoints.take(1001 + ENDPOINT_REST_MS), 3);
});

void test('EndpointAllocator does not give what was reserved, and goes on behind it', () => {
  const endpoints = new EndpointAllocator({ first: 3, last: 6 });
  assert.equal(endpoints.reserve(4), true);
  assert.equal(endpoints.reserve(4), false);
  assert.equal(endpoints.reserve(7), false);
  assert.deepEqual(
    [1, 2, 3, 4].map((now) => endpoints.take(now)),
    [5, 6, 3, undefined],
  );
});

void test('EndpointAllocator takes releases from before a restart as rest', () => {
  const endpoints = new EndpointAllocator({ first: 3, last: 5 });
  endpoints.release(3, 0);
  assert.deepEqual([endpoints.take(1), endpoints.take(1), endpoints.take(1)], [4, 5, 3]);
});

void test('EndpointAllocator works on a range of 2^31 and on an empty one', () => {
  const huge = new EndpointAllocator({ first: 3, last: 2 ** 31 - 1 });
  huge.reserve(2 ** 31 - 1);
  assert.equal(huge.take(0), 3);
  assert.equal(huge.free, 2 ** 31 - 5);
  const empty = new EndpointAllocator({ first: 3, last: 2 });
  assert.equal(empty.take(0), undefined);
  assert.equal(empty.free, 0);
});

void test('EndpointAllocator remembers a bounded number of releases', () => {
  const endpoints = new EndpointAllocator({ first: 3, last: 2 ** 31 - 1 });
  for (let i = 0; i < 65_536; i++) endpoints.release(endpoints.take(0) ?? 0, i);
  assert.equal(endpoints.take(65_536), 65_539);
  endpoints.release(65_539, 65_536);
  assert.equal(endpoints.take(ENDPOINT_REST_MS), 3);
});

void test('EndpointAllocator never gives one number twice, and finds every free one', () => {
  const step = fc.oneof(
    fc.constant({ do: 'take' as const, n: 0 }),
    fc.record({ do: fc.constantFrom('release' as const, 'reserve' as const), n: fc.integer({ min: 1, max: 12 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const endpoints = new EndpointAllocator({ first: 3, last: 10 });
      const held = new Set<number>();
      for (const [now, step] of steps.entries()) {
        if (step.do === 'release') {
          endpoints.release(step.n, now);
          held.delete(step.n);
        } else if (step.do === 'reserve') {
          const possible = step.n >= 3 && step.n <= 10 && !held.has(step.n);
          assert.equal(endpoints.reserve(step.n), possible);
          if (possible) held.add(step.n);
        } else {
          const taken = endpoints.take(now);
          assert.equal(taken === undefined, held.size === 8);
          if (taken === undefined) continue;
          assert.ok(taken >= 3 && taken <= 10 && !held.has(taken));
          held.add(taken);
        }
        assert.equal(endpoints.held, held.size);
      }
    }),
  );
});
