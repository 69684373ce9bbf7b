import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Address } from '../addr/address.ts';
import type { ConntrackEntry } from '../kernel/conntrack.ts';
import { REVOKED_MARK } from '../plan/revoked-mark.ts';
import { identityIndex } from '../plan/identity.ts';
import { type Fixture, pol1, snapshotOf, TENANTS } from '../plan/snapshot-fixture.ts';
import { demo } from '../policy/test-world.ts';
import { findRevocations, type Revocation } from './revocation.ts';

const BACKEND = { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 };
const FRONTEND = '10.2.17.3' as Address;
const OTHER = '10.2.33.3' as Address;
const LOCAL = '10.1.18.3' as Address;
const SERVICE = '10.96.0.1' as Address;
const WORLD: Fixture = { tenants: TENANTS, pods: [BACKEND], policies: [pol1('tenant-a')] };

interface Flow {
  readonly from: Address;
  readonly to?: Address;
  readonly called?: Address;
  readonly port?: number;
  readonly protocol?: number;
  readonly mark?: number;
}

function entry({ from, to = LOCAL, called = to, port = 80, protocol = 6, mark = 0 }: Flow): ConntrackEntry {
  return {
    family: 4,
    protocol,
    id: 1,
    mark,
    orig: { src: from, dst: called, sport: 40_000, dport: port },
    reply: { src: to, dst: from, sport: port, dport: 40_000 },
  };
}

function judge(fixture: Fixture, ...flows: readonly Flow[]): Revocation {
  const snapshot = snapshotOf(fixture);
  const identities = identityIndex(snapshot);
  const local = new Set(snapshot.leases.flatMap(({ addresses }) => addresses));
  return findRevocations(flows.map(entry), {
    world: { segmentLabel: 'segment', namespaces: snapshot.namespaces, policies: snapshot.policies },
    partyOf: (address) => identities.partyOf(address),
    isLocal: (address) => local.has(address),
  });
}

void test('findRevocations cuts what policy forbids now and leaves what it allows', () => {
  const { cut, pardon } = judge(WORLD, { from: FRONTEND }, { from: FRONTEND, port: 81 }, { from: OTHER });
  assert.deepEqual(
    cut.map(({ orig }) => `${orig.src} ${orig.dport}`),
    [`${FRONTEND} 81`, `${OTHER} 80`],
  );
  assert.deepEqual(pardon, []);
});

void test('findRevocations pardons what was cut and is allowed again, and cuts nothing twice', () => {
  const { cut, pardon } = judge(
    WORLD,
    { from: FRONTEND, mark: REVOKED_MARK | 5 },
    { from: OTHER, mark: REVOKED_MARK },
    { from: FRONTEND, mark: 5 },
  );
  assert.deepEqual(cut, []);
  assert.deepEqual(
    pardon.map(({ orig, mark }) => [orig.src, mark]),
    [[FRONTEND, REVOKED_MARK | 5]],
  );
});

void test('R3: findRevocations leaves the connections that an isolated pod has opened itself', () => {
  const { cut } = judge(WORLD, { from: LOCAL, to: FRONTEND, port: 9_000 }, { from: LOCAL, to: '192.0.2.9' as Address });
  assert.deepEqual(cut, []);
});

void test('findRevocations judges a connection to a Service by the pod behind it', () => {
  const { cut } = judge(WORLD, { from: FRONTEND, called: SERVICE }, { from: OTHER, called: SERVICE });
  assert.deepEqual(
    cut.map(({ orig }) => orig.src),
    [OTHER],
  );
});

void test('findRevocations leaves alone what is no connection of a pod of this host', () => {
  const { cut } = judge(WORLD, { from: OTHER, to: FRONTEND, port: 81 });
  assert.deepEqual(cut, []);
});

void test('findRevocations takes ICMP and other protocols for what only rules for any port allow', () => {
  const anyPort = { podSelector: { segment: 'backend' }, allowIncoming: { from: [{ pods: { segment: 'frontend' } }] } };
  const flows: readonly Flow[] = [1, 47].map((protocol) => ({ from: FRONTEND, protocol, port: 0 }));
  assert.equal(judge(WORLD, ...flows).cut.length, 2);
  assert.equal(judge({ ...WORLD, policies: [pol1('tenant-a', anyPort)] }, ...flows).cut.length, 0);
});

void test('findRevocations leaves what is forbidden for not knowing enough, as long as more is about to be known', () => {
  const byLabel = demo('tenant-a/by-label', { segment: 'backend' }, { from: [{ pods: { app: 'web' } }] });
  const snapshot = snapshotOf({ ...WORLD, policies: [byLabel] });
  const identities = identityIndex(snapshot);
  const bench = {
    world: { segmentLabel: 'segment', namespaces: snapshot.namespaces, policies: snapshot.policies },
    partyOf: (address: Address) => identities.partyOf(address),
    isLocal: (address: Address) => snapshot.leases.some(({ addresses }) => addresses.includes(address)),
  };
  const flows = [{ from: FRONTEND }, { from: '192.0.2.7' as Address }].map(entry);
  const found = findRevocations(flows, bench, { patient: true });
  assert.deepEqual([found.undecided, found.cut], [flows.slice(0, 1), flows.slice(1)]);
  const late = findRevocations(flows, bench);
  assert.deepEqual([late.undecided, late.cut], [[], flows]);
});
