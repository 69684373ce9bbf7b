import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { cniError } from '../cni/errors.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { err, ok } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import type { Lease } from '../plan/snapshot.ts';
import { Collector, isAbandoned } from './collection.ts';
import type { Evidence } from './evidence.ts';

const never = new AbortController().signal;
const HERE: Evidence = { link: true, netns: 'there', pod: 'there' };
const GONE: Evidence = { link: false, netns: 'gone', pod: 'there' };

for (const [what, evidence, abandoned] of [
  ['all is there', {}, false],
  ['the pod was deleted by force and runs on', { pod: 'gone' }, false],
  ['the pod is finished and its sandbox is there', { pod: 'finished' }, false],
  ['the lease is old and its link is there', { netns: 'unknown', pod: 'gone' }, false],
  ['link and namespace are gone', { link: false, netns: 'gone' }, true],
  ['link and namespace are gone while the API is away', { link: false, netns: 'gone', pod: 'unknown' }, true],
  ['the pod has deleted its interface', { link: false }, false],
  ['the pod has deleted its interface and is gone', { link: false, pod: 'gone' }, true],
  ['the pod has deleted its interface and is finished', { link: false, pod: 'finished' }, true],
  ['the pod has deleted its interface while the API is away', { link: false, pod: 'unknown' }, false],
  ['the path is gone and something holds the namespace', { netns: 'gone' }, false],
  ['the path and the pod are gone and something holds the namespace', { netns: 'gone', pod: 'gone' }, true],
  ['the lease is old, its link is gone', { link: false, netns: 'unknown' }, false],
  ['the lease is old, its link and pod are gone', { link: false, netns: 'unknown', pod: 'gone' }, true],
] as const satisfies [string, Partial<Evidence>, boolean][]) {
  test(`R17: isAbandoned is ${abandoned} when ${what}`, () => {
    assert.equal(isAbandoned({ ...HERE, ...evidence }), abandoned);
  });
}

interface Bench {
  readonly collector: Collector;
  readonly clock: FakeClock;
  readonly evidence: Map<string, Evidence>;
  /** Replaces evidence in a recheck. */
  readonly again: Map<string, Evidence>;
  readonly leases: Lease[];
  readonly freed: string[];
  readonly logged: string[];
  failing: boolean;
}

function leaseOf(pod: string): Lease {
  return { pod, namespace: 'a', uid: pod, containerId: pod, addresses: [] } as unknown as Lease;
}

function bench(...pods: readonly string[]): Bench {
  const clock = new FakeClock();
  const keep = (_: object, message: string): void => void made.logged.push(message);
  const made: Bench = {
    clock,
    evidence: new Map(pods.map((pod) => [pod, HERE])),
    again: new Map(),
    leases: pods.map(leaseOf),
    freed: [],
    logged: [],
    failing: false,
    collector: new Collector({
      leases: { withState: () => made.leases, damaged: () => [] },
      evidence: {
        look: () => {
          if (made.failing) throw new Error('ENOBUFS');
          return ({ pod }) => made.evidence.get(pod) ?? HERE;
        },
        recheck: ({ pod }) => Promise.resolve(made.again.get(pod) ?? made.evidence.get(pod) ?? HERE),
      },
      network: {
        free: async (lease, isStale) => {
          if (!(await isStale())) return ok(false);
          if (lease.pod === 'stuck') return err(cniError('internal', 'EBUSY'));
          made.leases.splice(made.leases.indexOf(lease), 1);
          made.freed.push(lease.pod);
          return ok(true);
        },
      },
      everyMs: 1_000,
      onFreed: () => made.logged.push('counted'),
      clock,
      log: { ...silentLog, warn: keep, error: keep },
    }),
  };
  return made;
}

test('R17: Collector frees at the second look in a row', async () => {
  const b = bench('one', 'two');
  b.evidence.set('one', GONE);
  await b.collector.look(never);
  assert.deepEqual(b.freed, []);
  b.evidence.set('one', HERE);
  await b.collector.look(never);
  b.evidence.set('one', GONE);
  await b.collector.look(never);
  assert.deepEqual(b.freed, [], 'it was there in between');
  await b.collector.look(never);
  assert.deepEqual(b.freed, ['one']);
  assert.deepEqual(b.logged, ['freed an attachment whose sandbox is gone, and for which no DEL came', 'counted']);
});

test('R10: Collector frees at the start what has neither link nor namespace, and nothing else', async () => {
  const b = bench('gone', 'no-link', 'no-pod', 'there');
  b.evidence.set('gone', GONE);
  b.evidence.set('no-link', { ...GONE, netns: 'there', pod: 'gone' });
  b.evidence.set('no-pod', { ...HERE, pod: 'gone' });
  await b.collector.sweep(never);
  assert.deepEqual(b.freed, ['gone']);
});

test('R17: Collector rechecks before it frees', async () => {
  const b = bench('one');
  b.evidence.set('one', GONE);
  b.again.set('one', HERE);
  for (let i = 0; i < 5; i += 1) await b.collector.look(never);
  assert.deepEqual(b.freed, []);
  b.again.clear();
  await b.collector.look(never);
  assert.deepEqual(b.freed, ['one']);
});

test('R17: Collector begins anew with a lease that was made anew', async () => {
  const b = bench('one');
  b.evidence.set('one', GONE);
  await b.collector.look(never);
  b.leases.splice(0, 1, leaseOf('one'));
  await b.collector.look(never);
  assert.deepEqual(b.freed, []);
});

test('R16: Collector frees what it can beside what it cannot', async () => {
  const b = bench('stuck', 'one');
  for (const pod of ['stuck', 'one']) b.evidence.set(pod, GONE);
  for (let i = 0; i < 2; i += 1) await b.collector.look(never);
  assert.deepEqual(b.freed, ['one']);
  assert.ok(b.logged.includes('could not free an abandoned attachment yet'));
});

test('Collector looks again and again, also after a look that failed, until the signal', async () => {
  const b = bench('one');
  const stop = new AbortController();
  const running = b.collector.run(stop.signal);
  await waitFor('the first wait', () => b.clock.sleeping === 1);
  b.failing = true;
  b.evidence.set('one', GONE);
  await b.clock.advance(1_000);
  assert.equal(b.logged.length, 1);
  b.failing = false;
  for (const freed of [0, 1]) {
    await waitFor('the next wait', () => b.clock.sleeping === 1);
    await b.clock.advance(1_000);
    await waitFor('the look', () => b.freed.length === freed);
  }
  stop.abort();
  await running;
});

test('R17: Collector never frees what was there at one of the last two looks or the recheck', async () => {
  const evidence = fc.record<Evidence>({
    link: fc.boolean(),
    netns: fc.constantFrom('there', 'gone', 'unknown'),
    pod: fc.constantFrom('there', 'finished', 'gone', 'unknown'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(evidence, evidence), { minLength: 1, maxLength: 12 }), async (looks) => {
      const b = bench('one');
      const seen: boolean[] = [];
      for (const [look, again] of looks) {
        b.evidence.set('one', look);
        b.again.set('one', again);
        seen.push(isAbandoned(look));
        await b.collector.look(never);
        if (b.freed.length === 0) continue;
        assert.deepEqual([...seen.slice(-2), isAbandoned(again)], [true, true, true]);
        return;
      }
    }),
  );
});
