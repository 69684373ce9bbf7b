import { test } from 'node:test';
import assert from 'node:assert/strict';
import { parsePlan } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import { FakeNft } from '../nft/fake-nft.ts';
import { replaceText } from '../nft/text.ts';
import { deltaText } from '../nft/delta.ts';
import { plan } from './desired.ts';
import type { Desired } from './desired.ts';
import { excerpt, pol1, snapshotOf, TENANTS } from './snapshot-fixture.ts';
import type { Fixture, FixturePod } from './snapshot-fixture.ts';

const IPV4 = [unwrap(parsePlan('10.0.0.0/8:8,4,4,8'))];
const BACKEND: FixturePod = {
  namespace: 'tenant-a',
  name: 'backend',
  labels: { segment: 'backend' },
  host: 1,
  endpoint: 3,
};
const FRONTEND: FixturePod = {
  namespace: 'tenant-a',
  name: 'frontend',
  labels: { segment: 'frontend' },
  host: 1,
  endpoint: 3,
};

function planOf(fixture: Fixture): Desired {
  const desired = plan(snapshotOf(fixture));
  new FakeNft().run(replaceText(desired.ruleset));
  return desired;
}

test('plan leaves a pod alone that no policy selects and no namespace isolates', () => {
  const desired = planOf({ plans: IPV4, isolated: { 'tenant-a': false }, pods: [BACKEND] });
  assert.equal(
    excerpt(desired, /^(in|eg)/),
    `map egress4 {
	type ipv4_addr : verdict
	comment "pods that policies select for egress"
}

map ingress4 {
	type ipv4_addr : verdict
	comment "pods that policies select for ingress"
}
`,
  );
});

test('plan drops what goes to an isolated pod without a policy', () => {
  const desired = planOf({ plans: IPV4, pods: [BACKEND] });
  assert.equal(
    excerpt(desired, /^in/),
    `map ingress4 {
	type ipv4_addr : verdict
	comment "pods that policies select for ingress"
	elements = { 10.1.18.3 : jump in-isolated }
}

chain in-isolated {
	comment "isolated, and no policy allows anything"
	goto denied-ingress
}
`,
  );
});

test('plan opens exactly what pol1 says, by bits, in both families', () => {
  const desired = planOf({ pods: [BACKEND], policies: [pol1('tenant-a')] });
  assert.equal(
    excerpt(desired, /^in-/),
    `set in-6ff84a6a-segment4 {
	type ipv4_addr . inet_proto . inet_service
	elements = { 10.0.17.0 . tcp . 80 }
}

set in-6ff84a6a-segment6 {
	type ipv6_addr . inet_proto . inet_service
	elements = { fd00:10::1:1:0 . tcp . 80 }
}

chain in-6ff84a6a {
	comment "tenant-a/pol1"
	ip saddr & 255.255.0.0 != @hosts4 goto denied-ingress
	ip saddr @exceptions4 goto denied-ingress
	ip saddr & 255.0.255.0 . meta l4proto . th dport @in-6ff84a6a-segment4 return
	ip6 saddr & ffff:ffff:ffff:ffff:ffff:: != @hosts6 goto denied-ingress
	ip6 saddr @exceptions6 goto denied-ingress
	ip6 saddr & ffff:ffff:ffff:ffff:0:ffff:ffff:0 . meta l4proto . th dport @in-6ff84a6a-segment6 return
	goto denied-ingress
}
`,
  );
  assert.deepEqual(desired.peerWatches, []);
});

test('plan does not change one rule when pods under segment policies come and go on other hosts', () => {
  const fixture: Fixture = { pods: [BACKEND], policies: [pol1('tenant-a')] };
  const remote: FixturePod = { ...FRONTEND, host: 2, endpoint: 9 };
  const without = planOf(fixture).ruleset;
  assert.equal(deltaText(without, planOf({ ...fixture, watched: [remote] }).ruleset), '');
});

test('plan keeps one chain and the same number of rules however many policies select a pod', () => {
  const policies = Array.from({ length: 200 }, (_, n) =>
    pol1(
      'tenant-a',
      {
        podSelector: { segment: 'backend' },
        allowIncoming: { toPorts: [{ port: 1000 + n, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
      },
      `pol-${n}`,
    ),
  );
  const chains = [...planOf({ plans: IPV4, pods: [BACKEND], policies }).ruleset.chains].filter(([name]) =>
    name.startsWith('in-'),
  );
  assert.equal(chains.length, 1);
  assert.equal(chains[0]?.[1].rules.length, 4);
  assert.match(chains[0]?.[1].comment ?? '', /^tenant-a\/pol-0, tenant-a\/pol-1, .* and \d+ more$/);
});

test('R37: plan takes a pod with an edited label out of the masked lookups and names it by address', () => {
  const edited: FixturePod = { ...FRONTEND, host: 2, labels: { segment: 'quarantine' }, leased: 'frontend' };
  const promoted: FixturePod = { ...FRONTEND, name: 'promoted', host: 2, endpoint: 4, leased: 'backend' };
  const desired = planOf({
    plans: IPV4,
    pods: [BACKEND],
    exceptions: [edited, promoted],
    policies: [pol1('tenant-a')],
  });
  assert.equal(
    excerpt(desired, /^(in-|exc)/),
    `set exceptions4 {
	type ipv4_addr
	comment "pods whose labels and bits differ"
	elements = { 10.2.17.3,
		10.2.18.4 }
}

set in-6ff84a6a-address4 {
	type ipv4_addr . inet_proto . inet_service
	elements = { 10.2.18.4 . tcp . 80 }
}

set in-6ff84a6a-segment4 {
	type ipv4_addr . inet_proto . inet_service
	elements = { 10.0.17.0 . tcp . 80 }
}

chain in-6ff84a6a {
	comment "tenant-a/pol1"
	ip saddr . meta l4proto . th dport @in-6ff84a6a-address4 return
	ip saddr & 255.255.0.0 != @hosts4 goto denied-ingress
	ip saddr @exceptions4 goto denied-ingress
	ip saddr & 255.0.255.0 . meta l4proto . th dport @in-6ff84a6a-segment4 return
	goto denied-ingress
}
`,
  );
});

test('plan publishes a pod of this host whose label was edited, and no other', () => {
  const edited: FixturePod = { ...FRONTEND, labels: { segment: 'backend' }, leased: 'frontend' };
  const { exceptions } = planOf({ plans: IPV4, pods: [BACKEND, edited] });
  assert.deepEqual(exceptions, [
    {
      namespace: 'tenant-a',
      pod: 'frontend',
      uid: 'tenant-a/frontend',
      addresses: ['10.1.17.3'],
      labels: new Map([['segment', 'backend']]),
    },
  ]);
});

test('plan names pods of a pooled namespace by address, from a watch on that namespace', () => {
  const tenants = { ...TENANTS, 'tenant-a': { id: 0 } };
  const remote: FixturePod = { ...FRONTEND, host: 2, endpoint: 7 };
  const desired = planOf({ plans: IPV4, tenants, pods: [BACKEND], watched: [remote], policies: [pol1('tenant-a')] });
  assert.deepEqual(desired.peerWatches, [{ namespace: 'tenant-a', selector: 'segment=frontend' }]);
  assert.equal(desired.warnings[0]?.reason, 'PooledTenant');
  assert.equal(
    excerpt(desired, /^(in-|peers)/),
    `set peers-5c61f224-4 {
	type ipv4_addr
	comment "tenant-a/{segment=frontend}"
	elements = { 10.2.0.7 }
}

chain in-6ff84a6a {
	comment "tenant-a/pol1"
	ip saddr @peers-5c61f224-4 meta l4proto tcp th dport 80 return
	goto denied-ingress
}
`,
  );
});

function webTo(segment: string): object {
  return { podSelector: { segment }, allowIncoming: { from: [{ pods: { app: 'web', segment: 'frontend' } }] } };
}

test('plan matches peers by other labels through one set that all chains share', () => {
  const policies = [pol1('tenant-a', webTo('backend'), 'one'), pol1('tenant-a', webTo('frontend'), 'two')];
  const web: FixturePod = { ...FRONTEND, name: 'web', host: 2, labels: { app: 'web', segment: 'frontend' } };
  const desired = planOf({ plans: IPV4, pods: [BACKEND, FRONTEND], watched: [web], policies });
  assert.deepEqual(desired.peerWatches, [{ namespace: 'tenant-a', selector: 'app=web,segment=frontend' }]);
  assert.equal(
    excerpt(desired, /^(in-|peers)/),
    `set peers-a2435694-4 {
	type ipv4_addr
	comment "tenant-a/{app=web,segment=frontend}"
	elements = { 10.2.17.3 }
}

chain in-3d6bb718 {
	comment "tenant-a/one"
	ip saddr @peers-a2435694-4 return
	goto denied-ingress
}

chain in-55d9a75e {
	comment "tenant-a/two"
	ip saddr @peers-a2435694-4 return
	goto denied-ingress
}
`,
  );
});

test("R7: plan never counts a finished pod, nor an address outside the range of its pod's host", () => {
  const spec = { podSelector: {}, allowIncoming: { from: [{ pods: { app: 'web' } }] } };
  const web: FixturePod = { ...FRONTEND, name: 'web', host: 2, labels: { app: 'web' }, leased: 'frontend' };
  const watched: FixturePod[] = [
    { ...web, name: 'done', endpoint: 4, more: { phase: 'Succeeded' } },
    { ...web, name: 'liar', endpoint: 5, more: { nodeName: 'minion0' } },
    { ...web, name: 'on-host', endpoint: 6, more: { hostNetwork: true } },
  ];
  const desired = planOf({ plans: IPV4, pods: [BACKEND], watched, policies: [pol1('tenant-a', spec)] });
  const peers = [...desired.ruleset.sets].find(([name]) => name.startsWith('peers-'));
  assert.deepEqual([...(peers?.[1].elements.keys() ?? ['none'])], []);
});

test('R7: plan gives an address that two pods claim to the one that is not being deleted', () => {
  const spec = { podSelector: {}, allowIncoming: { from: [{ pods: { app: 'web' } }] } };
  const old: FixturePod = { ...FRONTEND, name: 'old', host: 2, labels: { app: 'web' }, leased: 'frontend' };
  const young: FixturePod = { ...old, name: 'young', labels: { app: 'db' } };
  const snapshot = snapshotOf({
    plans: IPV4,
    pods: [BACKEND],
    watched: [old, young],
    policies: [pol1('tenant-a', spec)],
  });
  const peerPods = snapshot.peerPods.map((pod) =>
    pod.meta.name === 'old' ? { ...pod, meta: { ...pod.meta, deletionTimestamp: '2026-01-01T00:00:00Z' } } : pod,
  );
  for (const order of [peerPods, peerPods.toReversed()]) {
    const peers = [...plan({ ...snapshot, peerPods: order }).ruleset.sets].find(([name]) => name.startsWith('peers-'));
    assert.deepEqual([...(peers?.[1].elements.keys() ?? ['none'])], []);
  }
});

test('R38: plan keeps no label, the empty one and "default" apart', () => {
  const tenants = { 'tenant-a': { id: 1, segments: { default: 1, '': 2, backend: 3 } } };
  const spec = { podSelector: { segment: 'backend' }, allowIncoming: { from: [{ pods: { segment: '' } }] } };
  const desired = planOf({ plans: IPV4, tenants, pods: [BACKEND], policies: [pol1('tenant-a', spec)] });
  const set = [...desired.ruleset.sets].find(([name]) => name.endsWith('segment4-any'));
  assert.deepEqual([...(set?.[1].elements.keys() ?? [])], ['10.0.18.0']);
});

test('plan compiles a peer whose ids are not known yet to nothing', () => {
  const desired = planOf({ plans: IPV4, tenants: {}, pods: [], policies: [pol1('tenant-a')] });
  assert.deepEqual(
    [...desired.ruleset.chains.keys()].filter((name) => name.startsWith('in-')),
    [],
  );
  const late = planOf({
    plans: IPV4,
    tenants: { 'tenant-a': { id: 1, segments: { backend: 2 } } },
    pods: [BACKEND],
    policies: [pol1('tenant-a')],
  });
  assert.deepEqual(late.ruleset.chains.get('in-6ff84a6a')?.rules, ['goto denied-ingress']);
});

test('plan isolates the pods of a namespace that it does not know', () => {
  const desired = planOf({ plans: IPV4, isolated: {}, pods: [BACKEND] });
  assert.equal(desired.ruleset.sets.get('ingress4')?.elements.get('10.1.18.3'), 'jump in-isolated');
});

test('plan keeps by its lease a pod that the API does not show, where nothing else could be true', () => {
  const snapshot = {
    ...snapshotOf({ plans: IPV4, pods: [BACKEND], policies: [pol1('tenant-a')] }),
    localPods: new Map(),
  };
  assert.equal(plan(snapshot).ruleset.sets.get('ingress4')?.elements.get('10.1.18.3'), 'jump in-6ff84a6a');
});
