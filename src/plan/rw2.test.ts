import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Address } from '../addr/address.ts';
import { familyOf, parseAddress } from '../addr/address.ts';
import { unwrap } from '../lib/result.ts';
import { FakeNft } from '../nft/fake-nft.ts';
import { replaceText, rulesetText } from '../nft/text.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { Decision, Port, Reason } from '../policy/evaluate.ts';
import type { Party } from '../policy/party.ts';
import { plan } from './desired.ts';
import { identityIndex } from './identity.ts';
import { partyOfPod } from './known-pods.ts';
import { forwardVerdict, inputVerdict } from './rules-interpreter.ts';
import type { Snapshot } from './snapshot.ts';
import { snapshotOf } from './snapshot-fixture.ts';
import { TENANTS, worlds } from './random-worlds.ts';
import type { World } from './random-worlds.ts';

/** Hosts: this one, and others. */
const HERE = ['192.168.99.11', 'fd00:99::11'].map((text) => unwrap(parseAddress(text)));
const HOSTS = ['192.168.99.12', 'fd00:99::10'].map((text) => unwrap(parseAddress(text)));
const OUTSIDE = ['192.0.2.7', '10.9.17.3', 'fd00:aa::1'].map((text) => unwrap(parseAddress(text)));
/** In a host's range: in the pool, of no tenant, of a tenant that has no such segment. */
const NOBODY = ['10.2.1.9', '10.2.241.3', '10.2.31.3', 'fd00:10::2:99:1:3', 'fd00:10::2:1:99:3'].map((text) =>
  unwrap(parseAddress(text)),
);

const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const;

test('what the planned ruleset does with a first packet is what evaluate says, in random worlds', () => {
  fc.assert(fc.property(worlds, checkWorld), { numRuns: 2000 });
});

test('the plan is the same in whatever order the cluster was read, in random worlds', () => {
  fc.assert(
    fc.property(worlds, ({ snapshot }) => {
      const { ruleset, ...desired } = plan(snapshot);
      const { ruleset: other, ...others } = plan(reversed(snapshot));
      assert.equal(rulesetText(other), rulesetText(ruleset));
      assert.deepEqual(others.exceptions, desired.exceptions);
      assert.equal(others.routes.length, desired.routes.length);
    }),
    { numRuns: 2000 },
  );
});

/** The same things in another order. */
function reversed(snapshot: Snapshot): Snapshot {
  return {
    ...snapshot,
    hosts: reversedMap(snapshot.hosts),
    tenants: reversedMap(snapshot.tenants),
    namespaces: reversedMap(snapshot.namespaces),
    localPods: reversedMap(snapshot.localPods),
    peerPods: snapshot.peerPods.toReversed(),
    policies: snapshot.policies.toReversed(),
    leases: snapshot.leases.toReversed(),
  };
}

function reversedMap<K, V>(map: ReadonlyMap<K, V>): ReadonlyMap<K, V> {
  return new Map([...map].toReversed());
}

const SERVICES = [
  ['tcp', 80],
  ['tcp', 81],
  ['tcp', 1_500],
  ['udp', 80],
  ['sctp', 81],
  ['icmp', 0],
] as const;

function portOf([l4proto, dport]: (typeof SERVICES)[number]): Port {
  return l4proto === 'icmp' ? { protocol: 'ICMP' } : { protocol: PROTOCOLS[l4proto], port: dport };
}

function checkWorld({ snapshot, pods, policies, complete }: World): void {
  const { ruleset } = plan(snapshot);
  new FakeNft().run(replaceText(ruleset));
  const index = identityIndex(snapshot);
  const world = { segmentLabel: 'segment', namespaces: snapshot.namespaces, policies };
  const known = snapshotOf({ tenants: TENANTS, pods }).peerPods.filter((pod) => pod.phase === 'Running');
  const remote = [...known.flatMap((pod) => pod.addresses), ...OUTSIDE, ...NOBODY, ...HOSTS];
  const interfaceOf = (address: Address): string =>
    snapshot.leases.find((lease) => lease.addresses.includes(address))?.hostInterface ?? 'eth0';
  const local = snapshot.leases.flatMap((lease) => lease.addresses);
  // As they are, whatever the host knows of them.
  const truth = new Map(
    (complete ? known : []).flatMap((pod) =>
      pod.addresses.map((address) => [address, partyOfPod({ ...pod, ...pod.meta, known: 'all' }, address)] as const),
    ),
  );
  const partyOf = (address: Address): Party => truth.get(address) ?? index.partyOf(address);
  const check = (
    verdictOf: typeof forwardVerdict,
    [saddr, daddr]: readonly [Address, Address],
    whose: (decision: Decision) => readonly Reason[],
  ): void => {
    for (const service of SERVICES) {
      const [l4proto, dport] = service;
      const decision = evaluate(world, partyOf(saddr), partyOf(daddr), portOf(service));
      const expected = whose(decision).every(({ verdict }) => verdict === 'allow') ? 'accept' : 'drop';
      const packet = { iifname: interfaceOf(saddr), oifname: interfaceOf(daddr), saddr, daddr, l4proto, dport };
      const said = `${saddr} to ${daddr} ${l4proto}/${dport}: ${JSON.stringify(decision)}`;
      assert.equal(verdictOf(ruleset, packet), expected, said);
    }
  };
  for (const mine of local) {
    for (const other of [...local, ...remote]) {
      if (familyOf(mine) !== familyOf(other)) continue;
      // A finished pod is nobody, so evaluate can't tell that it would reach itself; it has no process that could.
      if (mine === other && index.partyOf(mine).kind === 'unknown') continue;
      // Each host decides for its own pods.
      const both = local.includes(other);
      check(forwardVerdict, [mine, other], ({ egress, ingress }) => (both ? [egress, ingress] : [egress]));
      check(forwardVerdict, [other, mine], ({ egress, ingress }) => (both ? [egress, ingress] : [ingress]));
    }
    if (index.partyOf(mine).kind === 'unknown') continue;
    for (const here of HERE) {
      if (familyOf(here) === familyOf(mine)) check(inputVerdict, [mine, here], ({ egress }) => [egress]);
    }
  }
}
