import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Address, parseAddress } from '../addr/address.ts';
import { DEFAULT_PLANS } from '../addr/plan.ts';
import { CniFailure, cniError } from '../cni/errors.ts';
import { resultJson } from '../cni/result.ts';
import { err, ok, unwrap } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import type { DatapathStep } from './fake-datapath.ts';
import { leaseFileText } from './lease-file.ts';
import type { Identities } from './pod-network.ts';
import { assertNothingLeft, IDENTITY, name, never, podNetworkRig, request } from './pod-network-fixture.ts';

const FIRST: readonly Address[] = ['10.1.17.3', 'fd00:10::1:1:1:3'].map((text) => unwrap(parseAddress(text)));

test('PodNetwork.add connects a pod and tells what it made', async (t) => {
  const it = podNetworkRig(t);
  const result = unwrap(await it.network.add(request(), never));
  assert.deepEqual(
    it.datapath.calls,
    ['prepare', 'enforce', 'up'].map((step) => `${step} ${name()}`),
  );
  assert.equal(it.datapath.links.get(name()), 'up');
  const [lease] = it.leases.list();
  assert.ok(lease !== undefined);
  assert.deepEqual(it.leases.get(name())?.state, 'active');
  assert.equal(lease.segment, 'frontend');
  assert.deepEqual(lease.addresses, FIRST);
  assert.deepEqual(result, {
    hostInterface: name(),
    hostMac: lease.hostMac,
    ifname: 'eth0',
    podMac: lease.podMac,
    sandbox: '/run/netns/c1',
    mtu: 1500,
    addresses: [
      { address: '10.1.17.3', gateway: '10.1.0.1' },
      { address: 'fd00:10::1:1:1:3', gateway: 'fd00:10::1:0:0:1' },
    ],
  });
});

test('R1: PodNetwork.add sets a link up only when its policy is in the kernel, and its lease is on file before', async (t) => {
  const it = podNetworkRig(t);
  const gate = Promise.withResolvers<void>();
  it.datapath.before.set('enforce', () => gate.promise);
  it.datapath.before.set('prepare', () => assert.deepEqual(readdirSync(it.directory), [`${name()}.json`]));
  const added = it.network.add(request(), never);
  await waitFor('enforce', () => it.datapath.calls.includes(`enforce ${name()}`));
  assert.equal(it.datapath.links.get(name()), 'down');
  assert.equal(it.leases.get(name())?.state, 'adding');
  gate.resolve();
  assert.ok((await added).ok);
  assert.equal(it.datapath.links.get(name()), 'up');
});

for (const step of ['prepare', 'enforce', 'up'] as const) {
  test(`R15: PodNetwork.add gives back everything when ${step} fails, and works when repeated`, async (t) => {
    const it = podNetworkRig(t);
    it.datapath.before.set(step, () => {
      throw new Error('ENOBUFS');
    });
    const failed = await it.network.add(request(), never);
    assert.ok(!failed.ok);
    assert.deepEqual(failed.error, { code: 100, msg: 'could not connect pod tenant-a/web-1: ENOBUFS' });
    assert.ok(!it.datapath.enforced.has(name()), 'off the network before the answer');
    await it.network.settled();
    assertNothingLeft(it);
    assert.ok(it.datapath.calls.includes(`remove ${name()}`));
    it.datapath.before.clear();
    assert.ok((await it.network.add(request(), never)).ok);
  });
}

for (const [what, when] of [
  ['cannot be put on file', 'adding'],
  ['cannot be put on file as active', 'active'],
] as const) {
  test(`R15: PodNetwork.add gives back everything when its lease ${what}`, async (t) => {
    const it = podNetworkRig(t);
    const put = it.leases.put.bind(it.leases);
    it.leases.put = (lease, state) => {
      if (state === when) throw new Error('could not write', { cause: new Error('ENOSPC') });
      put(lease, state);
    };
    const failed = await it.network.add(request(), never);
    assert.deepEqual(!failed.ok && failed.error.details, 'ENOSPC');
    await it.network.settled();
    assertNothingLeft(it);
  });
}

test('PodNetwork.add takes nothing when the pod has no identity yet', async (t) => {
  const error = cniError('tryAgainLater', 'namespace tenant-a has no id yet');
  const it = podNetworkRig(t, { identities: { forPod: () => Promise.resolve(err(error)) } });
  assert.deepEqual(await it.network.add(request(), never), { ok: false, error });
  assert.deepEqual(it.datapath.calls, []);
  assertNothingLeft(it);
});

test('PodNetwork.add says try again when no address is free', async (t) => {
  const full = { ...IDENTITY, plans: DEFAULT_PLANS.slice(0, 1), pool: true };
  const it = podNetworkRig(t, { identities: { forPod: () => Promise.resolve(ok(full)) } });
  while (it.book.allocate(full.plans, full, 'x').ok);
  const failed = await it.network.add(request(), never);
  assert.equal(!failed.ok && failed.error.code, 11);
  assert.deepEqual(it.datapath.calls, []);
});

test('PodNetwork.add answers with the code that the datapath chose', async (t) => {
  const it = podNetworkRig(t);
  const error = cniError('unknownContainer', 'there is no network namespace /run/netns/c1');
  it.datapath.before.set('prepare', () => {
    throw new CniFailure(error);
  });
  assert.deepEqual(await it.network.add(request(), never), { ok: false, error });
});

for (const step of ['identity', 'enforce'] as const) {
  test(`PodNetwork.add ends and gives back everything when its time is over in ${step}`, async (t) => {
    const gate = Promise.withResolvers<void>();
    const forPod: Identities['forPod'] = async () => {
      if (step === 'identity') await gate.promise;
      return ok(IDENTITY);
    };
    const it = podNetworkRig(t, { identities: { forPod } });
    it.datapath.before.set('enforce', () => gate.promise);
    const late = cniError('tryAgainLater', 'late');
    const abort = new AbortController();
    const added = it.network.add(request(), abort.signal);
    if (step === 'enforce') await waitFor('enforce', () => it.datapath.calls.includes(`enforce ${name()}`));
    abort.abort(new CniFailure(late));
    assert.deepEqual(await added, { ok: false, error: late });
    await it.network.settled();
    it.datapath.before.clear();
    assert.deepEqual(it.leases.addresses(), []);
    assert.deepEqual(it.book.taken(), []);
    gate.resolve();
  });
}

test('PodNetwork.add gives the same result when repeated and intact, and an error when not', async (t) => {
  const it = podNetworkRig(t);
  const first = await it.network.add(request(), never);
  assert.deepEqual(await it.network.add(request(), never), first);
  assert.equal(it.leases.list().length, 1);
  const other = { ...request(), pod: { namespace: 'x', name: 'y', uid: 'z' } };
  const stolen = await it.network.add(other, never);
  assert.match((!stolen.ok && stolen.error.details) || '', /belongs to pod tenant-a\/web-1/);
  it.datapath.problems = ['the link is gone'];
  const broken = await it.network.add(request(), never);
  assert.deepEqual(!broken.ok && broken.error, {
    code: 100,
    msg: 'container c1 has an interface eth0 already, DEL must come first',
    details: 'the link is gone',
  });
  assert.equal(it.datapath.links.get(name()), 'up');
});

test('PodNetwork.add does not wait for the ADD of another pod', async (t) => {
  const it = podNetworkRig(t);
  const gate = Promise.withResolvers<void>();
  it.datapath.before.set('enforce', (lease) => (lease.pod === 'web-1' ? gate.promise : undefined));
  const slow = it.network.add(request(1), never);
  const others = await Promise.all([2, 3, 4].map((n) => it.network.add(request(n), never)));
  assert.ok(others.every(({ ok }) => ok));
  gate.resolve();
  assert.ok((await slow).ok);
  assert.equal(new Set(it.leases.addresses()).size, 8);
});

test('R15: PodNetwork.del succeeds when repeated, for unknown containers, and leaves nothing', async (t) => {
  const it = podNetworkRig(t);
  assert.ok((await it.network.del(request().attachment, never)).ok);
  assert.ok((await it.network.add(request(), never)).ok);
  for (let i = 0; i < 3; i++) assert.ok((await it.network.del(request().attachment, never)).ok);
  await it.network.settled();
  assert.ok((await it.network.del(request().attachment, never)).ok);
  assertNothingLeft(it);
  assert.deepEqual(it.datapath.calls.slice(3), [`detach ${name()}`, `remove ${name()}`]);
});

test('R34: PodNetwork.del answers when the pod is off the network; its address is free when link and connections are gone', async (t) => {
  const it = podNetworkRig(t);
  assert.ok((await it.network.add(request(), never)).ok);
  const gate = Promise.withResolvers<void>();
  it.datapath.before.set('remove', () => gate.promise);
  assert.ok((await it.network.del(request().attachment, never)).ok);
  assert.ok(!it.datapath.enforced.has(name()));
  assert.deepEqual(it.leases.list(), []);
  assert.equal(it.leases.get(name())?.state, 'leaving');
  assert.deepEqual(it.book.taken(), FIRST);
  assert.ok((await it.network.del(request().attachment, never)).ok, 'a repeated DEL does not wait');
  gate.resolve();
  await it.network.settled();
  assertNothingLeft(it);
});

for (const step of ['detach', 'remove'] as const satisfies readonly DatapathStep[]) {
  test(`PodNetwork.del tries again in the background while ${step} fails`, async (t) => {
    const it = podNetworkRig(t);
    assert.ok((await it.network.add(request(), never)).ok);
    let failures = 3;
    it.datapath.before.set(step, () => {
      if (failures-- > 0) throw new Error('EBUSY');
    });
    const first = await it.network.del(request().attachment, never);
    assert.equal(first.ok, step === 'remove');
    if (!first.ok) assert.match(first.error.msg, /could not take pod tenant-a\/web-1 off the network: EBUSY/);
    assert.deepEqual(it.book.taken(), FIRST);
    await waitFor('the last attempt', async () => {
      await it.clock.advance(1_000);
      return it.leases.get(name()) === undefined;
    });
    assert.equal(it.datapath.calls.filter((call) => call.startsWith(step)).length, 4);
    await it.network.settled();
    assert.ok((await it.network.del(request().attachment, never)).ok);
    assertNothingLeft(it);
  });
}

test('PodNetwork.del ends an ADD that is under way and leaves nothing', async (t) => {
  const it = podNetworkRig(t);
  const gate = Promise.withResolvers<void>();
  it.datapath.before.set('enforce', () => gate.promise);
  const added = it.network.add(request(), never);
  await waitFor('enforce', () => it.datapath.calls.includes(`enforce ${name()}`));
  assert.ok((await it.network.del(request().attachment, never)).ok);
  const failed = await added;
  assert.equal(!failed.ok && failed.error.code, 11);
  await it.network.settled();
  assertNothingLeft(it);
  gate.resolve();
});

test('PodNetwork.add of the same container waits until its last link is gone', async (t) => {
  const it = podNetworkRig(t);
  assert.ok((await it.network.add(request(), never)).ok);
  const gate = Promise.withResolvers<void>();
  it.datapath.before.set('remove', () => gate.promise);
  assert.ok((await it.network.del(request().attachment, never)).ok);
  const again = it.network.add(request(), never);
  assert.ok((await it.network.add(request(2), never)).ok);
  assert.equal(it.datapath.links.get(name()), 'down');
  gate.resolve();
  assert.ok((await again).ok);
  assert.equal(it.datapath.links.get(name()), 'up');
});

test('PodNetwork.check finds an attachment as it was made, or says what is not', async (t) => {
  const it = podNetworkRig(t);
  const { attachment, netns } = request();
  const missing = await it.network.check(attachment, netns, {});
  assert.equal(!missing.ok && missing.error.code, 3);
  const previous = resultJson(unwrap(await it.network.add(request(), never)), '1.0.0');
  assert.ok((await it.network.check(attachment, netns, previous)).ok);
  it.datapath.problems = ['eth0 is down', 'no default route'];
  const broken = await it.network.check(attachment, netns, previous);
  assert.equal(!broken.ok && broken.error.details, 'eth0 is down; no default route');
  it.datapath.problems = [];
  const other = await it.network.check(attachment, netns, {});
  assert.match((!other.ok && other.error.details) || '', /prevResult has no address 10\.1\.17\.3/);
});

test('PodNetwork.restore keeps what is connected and takes away what is half made or was leaving', async (t) => {
  const old = podNetworkRig(t);
  for (const n of [1, 2, 3]) assert.ok((await old.network.add(request(n), never)).ok);
  const [, second, third] = old.leases.list();
  assert.ok(second !== undefined && third !== undefined);
  old.leases.put(second, 'adding');
  old.leases.put(third, 'leaving');
  const it = podNetworkRig(t, { directory: old.directory });
  it.network.restore();
  assert.deepEqual(
    it.leases.list().map(({ pod }) => pod),
    ['web-1'],
  );
  await it.network.settled();
  assert.deepEqual(
    it.datapath.calls.toSorted(),
    [2, 3].flatMap((n) => [`detach ${name(n)}`, `remove ${name(n)}`]).toSorted(),
  );
  assert.deepEqual(it.book.taken(), FIRST);
  const next = unwrap(await it.network.add(request(4), never));
  assert.ok(!FIRST.includes(next.addresses[0]?.address as Address));
});

test('PodNetwork.stop leaves what cannot leave yet on file for the next agent', async (t) => {
  const old = podNetworkRig(t);
  assert.ok((await old.network.add(request(), never)).ok);
  old.datapath.before.set('remove', () => {
    throw new Error('EBUSY');
  });
  assert.ok((await old.network.del(request().attachment, never)).ok);
  await old.network.stop();
  const it = podNetworkRig(t, { directory: old.directory });
  it.network.restore();
  await it.network.settled();
  assertNothingLeft(it);
});

for (const how of ['del', 'free'] as const) {
  test(`PodNetwork.${how} takes away an attachment whose lease cannot be read, and frees its addresses only then`, async (t) => {
    const old = podNetworkRig(t);
    assert.ok((await old.network.add(request(), never)).ok);
    const [lease] = old.leases.list();
    assert.ok(lease !== undefined);
    const text = leaseFileText(lease, 'active');
    writeFileSync(join(old.directory, `${name()}.json`), text.slice(0, text.indexOf('hostMac')));
    const it = podNetworkRig(t, { directory: old.directory });
    it.datapath.links.set(name(), 'up');
    it.network.restore();
    assert.deepEqual(it.book.taken(), FIRST);
    const left = it.leases.damaged()[0]?.lease ?? assert.fail('no damaged lease');
    const gone =
      how === 'del' ? it.network.del(request().attachment, never) : it.network.free(left, async () => true, never);
    assert.ok((await gone).ok);
    await it.network.settled();
    assertNothingLeft(it);
  });
}
