import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import { assertNothingLeft, name, never, podNetworkRig, request } from './pod-network-fixture.ts';

const OLD_MS = 10 * 60_000;
const valid = (...numbers: readonly number[]) => ({
  network: 'romana',
  valid: numbers.map((n) => request(n).attachment),
});

test('R16: PodNetwork.gc frees what is not valid, and nothing that is younger than the list', async (t) => {
  const it = podNetworkRig(t);
  for (const n of [1, 2]) unwrap(await it.network.add(request(n), never));
  await it.clock.advance(OLD_MS - 1);
  unwrap(await it.network.gc(valid(1), never));
  assert.deepEqual(it.leases.list().length, 2, 'the runtime may have made its list before it began the ADD of 2');
  unwrap(await it.network.add(request(3), never));
  await it.clock.advance(1);
  unwrap(await it.network.gc(valid(1), never));
  await it.network.settled();
  assert.deepEqual([...it.datapath.links.keys()].sort(), [name(1), name(3)].sort());
  unwrap(await it.network.gc(valid(1), never));
  await it.clock.advance(OLD_MS);
  unwrap(await it.network.gc(valid(), never));
  await it.network.settled();
  assertNothingLeft(it);
});

test('R16: PodNetwork.gc counts the age of an attachment from its last ADD', async (t) => {
  const it = podNetworkRig(t);
  unwrap(await it.network.add(request(), never));
  await it.clock.advance(OLD_MS);
  unwrap(await it.network.add(request(), never));
  unwrap(await it.network.gc(valid(), never));
  assert.equal(it.leases.list().length, 1);
});

test('R16: PodNetwork.gc waits for an ADD that is under way for what it would free, and leaves that alone', async (t) => {
  const it = podNetworkRig(t);
  unwrap(await it.network.add(request(), never));
  await it.clock.advance(OLD_MS);
  unwrap(await it.network.del(request().attachment, never));
  const gate = Promise.withResolvers<void>();
  it.datapath.before.set('enforce', () => gate.promise);
  const added = it.network.add(request(), never);
  await waitFor('enforce', () => it.leases.get(name())?.state === 'adding');
  const collected = it.network.gc(valid(), never);
  gate.resolve();
  unwrap(await added);
  unwrap(await collected);
  assert.equal(it.datapath.links.get(name()), 'up');
});

test("R16: PodNetwork.gc leaves other networks' attachments alone", async (t) => {
  const it = podNetworkRig(t);
  unwrap(await it.network.add({ ...request(), network: 'other' }, never));
  await it.clock.advance(OLD_MS);
  unwrap(await it.network.gc(valid(), never));
  assert.equal(it.leases.list().length, 1);
  unwrap(await it.network.gc({ network: 'other', valid: [] }, never));
  await it.network.settled();
  assertNothingLeft(it);
});

test('R16: PodNetwork.gc frees what it can when some cannot be freed, and names those together', async (t) => {
  const it = podNetworkRig(t);
  for (const n of [1, 2, 3]) unwrap(await it.network.add(request(n), never));
  await it.clock.advance(OLD_MS);
  it.datapath.before.set('detach', ({ pod }) => {
    if (pod !== 'web-2') throw new Error('EBUSY');
  });
  const collected = await it.network.gc(valid(), never);
  assert.ok(!collected.ok);
  assert.equal(collected.error.msg, 'could not free 2 of 3 attachments that are not valid any more yet');
  assert.match(collected.error.details ?? '', /web-1 \(c1\).*EBUSY; .*web-3 \(c3\).*EBUSY/);
  await it.clock.advance(2_000);
  assert.deepEqual([...it.datapath.links.keys()].sort(), [name(1), name(3)].sort());
  it.datapath.before.delete('detach');
  const freed = it.network.gc(valid(), never);
  await it.clock.advance(20_000);
  unwrap(await freed);
  await it.network.settled();
  assertNothingLeft(it);
});

test('R17: PodNetwork.free takes off the lease that was looked at, after a last look, and no other', async (t) => {
  const it = podNetworkRig(t);
  unwrap(await it.network.add(request(), never));
  const [lease] = it.leases.list();
  assert.ok(lease !== undefined);
  const free = (isStale: boolean): Promise<boolean> =>
    it.network.free(lease, async () => isStale, never).then((outcome) => unwrap(outcome));
  assert.equal(await free(false), false);
  unwrap(await it.network.del(request().attachment, never));
  unwrap(await it.network.add(request(), never));
  assert.equal(await free(true), false, 'the same attachment, made anew');
  assert.equal(it.datapath.links.get(name()), 'up');
});
