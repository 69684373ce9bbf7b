import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Address } from '../addr/address.ts';
import { familyOf, parseAddress } from '../addr/address.ts';
import { unwrap } from '../lib/result.ts';
import { FakeNft } from '../nft/fake-nft.ts';
import { replaceText, rulesetText } from '../nft/text.ts';
import { evaluate } from '../policy/evaluate.ts';
import { plan } from './desired.ts';
import { identityIndex } from './identity.ts';
import { forwardVerdict } from './rules-interpreter.ts';
import type { Snapshot } from './snapshot.ts';
import { snapshotOf } from './snapshot-fixture.ts';
import { TENANTS, worlds } from './random-worlds.ts';
import type { World } from './random-worlds.ts';

const OUTSIDE = ['192.0.2.7', '10.9.17.3', 'fd00:aa::1'].map((text) => unwrap(parseAddress(text)));
/** In a host's range: in the pool, of no tenant, of a tenant that has no such segment. */
const NOBODY = ['10.2.1.9', '10.2.241.3', '10.2.31.3', 'fd00:10::2:99:1:3', 'fd00:10::2:1:99:3'].map((text) =>
  unwrap(parseAddress(text)),
);

const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const;

test('what the planned ruleset does with a first packet is what evaluate says, in random worlds', () => {
  fc.assert(fc.property(worlds, checkWorld), { numRuns: 300 });
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
    { numRuns: 300 },
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

function checkWorld({ snapshot, pods, policies }: World): void {
  const { ruleset } = plan(snapshot);
  new FakeNft().run(replaceText(ruleset));
  const index = identityIndex(snapshot);
  const world = { segmentLabel: 'segment', namespaces: snapshot.namespaces, policies };
  const known = snapshotOf({ tenants: TENANTS, pods }).peerPods.filter((pod) => pod.phase === 'Running');
  const remote = [...known.flatMap((pod) => pod.addresses), ...OUTSIDE, ...NOBODY];
  const interfaceOf = (address: Address): string =>
    snapshot.leases.find((lease) => lease.addresses.includes(address))?.hostInterface ?? 'eth0';
  const local = snapshot.leases.flatMap((lease) => lease.addresses);
  const pairs = local.flatMap((mine) =>
    [...local, ...remote].flatMap(
      (other) =>
        [
          [mine, other],
          [other, mine],
        ] as const,
    ),
  );
  for (const [saddr, daddr] of pairs) {
    if (familyOf(saddr) !== familyOf(daddr)) continue;
    // A finished pod is nobody, so evaluate can't tell that it would reach itself; it has no process that could.
    if (saddr === daddr && index.partyOf(saddr).kind === 'unknown') continue;
    for (const [l4proto, dport] of [
      ['tcp', 80],
      ['tcp', 81],
      ['tcp', 1_500],
      ['udp', 80],
      ['sctp', 81],
      ['icmp', 0],
    ] as const) {
      const decision = evaluate(
        world,
        index.partyOf(saddr),
        index.partyOf(daddr),
        l4proto === 'icmp' ? { protocol: 'ICMP' } : { protocol: PROTOCOLS[l4proto], port: dport },
      );
      // Each host decides for its own pods.
      const reasons = [
        ...(local.includes(saddr) ? [decision.egress] : []),
        ...(local.includes(daddr) ? [decision.ingress] : []),
      ];
      const expected = reasons.every(({ verdict }) => verdict === 'allow') ? 'accept' : 'drop';
      const packet = { iifname: interfaceOf(saddr), oifname: interfaceOf(daddr), saddr, daddr, l4proto, dport };
      assert.equal(
        forwardVerdict(ruleset, packet),
        expected,
        `${saddr} to ${daddr} ${l4proto}/${dport}: ${JSON.stringify(decision)}`,
      );
    }
  }
}
