import { test } from 'node:test';
import assert from 'node:assert/strict';
import { parsePlan } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import { FakeNft } from '../nft/fake-nft.ts';
import { replaceText } from '../nft/text.ts';
import { plan } from './desired.ts';
import type { Desired } from './desired.ts';
import { excerpt, snapshotOf } from './snapshot-fixture.ts';
import type { Fixture, FixturePod } from './snapshot-fixture.ts';

const IPV4 = [unwrap(parsePlan('10.0.0.0/8:8,4,4,8'))];
const BACKEND: FixturePod = {
  namespace: 'tenant-a',
  name: 'backend',
  labels: { segment: 'backend' },
  host: 1,
  endpoint: 3,
};

function planOf(fixture: Fixture): Desired {
  const desired = plan(snapshotOf(fixture));
  new FakeNft().run(replaceText(desired.ruleset));
  return desired;
}

test('plan routes to other hosts by their first address of the family, and nothing of its own range beyond its pods', () => {
  const { routes } = planOf({ pods: [BACKEND], hosts: [1, 2] });
  assert.deepEqual(routes, [
    { kind: 'blackhole', dst: '10.1.0.0/16' },
    { kind: 'blackhole', dst: 'fd00:10:0:0:1::/80' },
    { kind: 'unicast', dst: '10.2.0.0/16', via: '192.168.99.12' },
    { kind: 'unicast', dst: 'fd00:10:0:0:2::/80', via: 'fd00:99::12' },
    { kind: 'unicast', dst: '10.1.18.3/32', dev: 'roma-backend', mac: '0a:00:00:00:00:02' },
    { kind: 'unicast', dst: 'fd00:10::1:1:2:3/128', dev: 'roma-backend', mac: '0a:00:00:00:00:02' },
  ]);
});

test("plan leaves out, with a warning, a range that is somebody else's already", () => {
  const snapshot = snapshotOf({ plans: IPV4 });
  const thief = snapshot.hosts.get('minion2');
  const mine = snapshot.hosts.get('minion1');
  assert.ok(thief !== undefined && mine !== undefined);
  const hosts = new Map(snapshot.hosts).set('minion2', { ...thief, ranges: mine.ranges });
  const desired = plan({ ...snapshot, hosts });
  assert.deepEqual(
    desired.warnings.map(({ reason, object }) => `${reason} ${object}`),
    ['RangeConflict Host minion2'],
  );
  assert.ok(!desired.routes.some(({ via }) => via === '192.168.99.12'));
});

test('plan warns of a host that it has no way to, but not of one whose addresses nobody knows yet', () => {
  const snapshot = snapshotOf({ hosts: [1, 2] });
  const warningsWith = (addresses: readonly string[]): string[] => {
    const host = snapshot.hosts.get('minion2');
    assert.ok(host !== undefined);
    const hosts = new Map(snapshot.hosts).set('minion2', { ...host, addresses: addresses as never });
    return plan({ ...snapshot, hosts }).warnings.map(({ reason, object }) => `${reason} ${object}`);
  };
  assert.deepEqual(warningsWith(['192.168.99.12']), ['HostUnreachable Host minion2']);
  assert.deepEqual(warningsWith([]), []);
});

test('plan masquerades towards outside alone, and only when asked to', () => {
  assert.equal(planOf({ plans: IPV4 }).ruleset.chains.has('postrouting'), false);
  const snapshot = snapshotOf({ plans: IPV4, masquerade: true });
  const network = {
    ...snapshot.network,
    masquerade: { enabled: true, excludeCIDRs: ['172.16.0.0/12', '172.16.0.0/16'] as never },
  };
  assert.equal(
    excerpt(plan({ ...snapshot, network }), /^(postrouting|unmasked4)$/),
    `set unmasked4 {
	type ipv4_addr
	flags interval
	comment "masquerade.excludeCIDRs"
	elements = { 172.16.0.0/12 }
}

chain postrouting {
	comment "masquerade towards outside"
	type nat hook postrouting priority srcnat; policy accept;
	ip saddr 10.1.0.0/16 ip daddr & 255.255.0.0 != @hosts4 ip daddr != @nodes4 ip daddr != @unmasked4 ip daddr != { 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255 } masquerade fully-random
}
`,
  );
});

test('plan checks sources before conntrack and judges first packets in forward', () => {
  const desired = planOf({ plans: IPV4, pods: [BACKEND] });
  assert.equal(
    excerpt(desired, /^(raw|from-.*|forward|endpoints4|self)$/),
    `set endpoints4 {
	type ifname . ipv4_addr
	comment "pods of this host"
	elements = { "roma-backend" . 10.1.18.3 }
}

set self {
	type ifname . ifname
	comment "a pod and itself, through a Service"
	elements = { "roma-backend" . "roma-backend" }
}

chain forward {
	comment "policy, for the first packet of each connection"
	type filter hook forward priority filter; policy accept;
	ct mark & 0x10000000 != 0 drop
	ct state established accept
	iifname "roma*" icmp type { destination-unreachable, source-quench, time-exceeded, parameter-problem } goto errors4
	ct state related accept
	iifname "roma*" tcp flags & (fin | syn | rst | ack) != syn drop
	oifname "roma*" tcp flags & (fin | syn | rst | ack) != syn drop
	oifname "roma*" oifname . ip daddr != @endpoints4 drop
	iifname . oifname @self accept
	ip saddr vmap @egress4
	ip daddr vmap @ingress4
	ct status confirmed accept
	iifname @accepted-egress
	oifname @accepted-ingress
}

chain raw {
	comment "a source address is an identity"
	type filter hook prerouting priority -450; policy accept;
	iifname "roma*" goto from-pod
	iifname "eth0" goto from-uplink
	iifname != "lo" goto from-elsewhere
}

chain from-elsewhere {
	comment "no address of this host, none of another from the wrong side"
	ip saddr 10.1.0.0/16 drop
	ip saddr & 255.255.0.0 @hosts4 fib saddr . iif oif missing drop
}

chain from-pod {
	comment "own addresses only"
	iifname . ip saddr @endpoints4 ip daddr != 127.0.0.0/8 ip protocol != icmp accept
	iifname . ip saddr @endpoints4 ip daddr != 127.0.0.0/8 icmp type { redirect, router-advertisement, router-solicitation } drop
	iifname . ip saddr @endpoints4 ip daddr != 127.0.0.0/8 accept
	drop
}

chain from-uplink {
	comment "no address of this host"
	ip saddr 10.1.0.0/16 drop
}
`,
  );
});

test('plan looks the way back up for every packet of other hosts when there is more than one uplink', () => {
  const { chains } = plan({ ...snapshotOf({ plans: IPV4 }), uplinks: ['eth0', 'eth1'] }).ruleset;
  assert.equal(chains.has('from-uplink'), false);
  assert.deepEqual(chains.get('raw')?.rules, ['iifname "roma*" goto from-pod', 'iifname != "lo" goto from-elsewhere']);
});
