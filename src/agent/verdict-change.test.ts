import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { familyOf, parseAddress } from '../addr/address.ts';
import type { Address } from '../addr/address.ts';
import { parseCidr } from '../addr/cidr.ts';
import { unwrap } from '../lib/result.ts';
import { EVERYTHING } from '../objects/selector.ts';
import { plan } from '../plan/desired.ts';
import { histories } from '../plan/random-histories.ts';
import { forwardVerdict, inputVerdict } from '../plan/rules-interpreter.ts';
import { pol1, snapshotOf } from '../plan/snapshot-fixture.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import type { Policy } from '../policy/model.ts';
import { turnedVerdicts } from './verdict-change.ts';
import type { Turned } from './verdict-change.ts';

const OTHERS = ['192.0.2.7', '10.2.17.3', '192.168.99.12', 'fd00:aa::1'].map((text) => unwrap(parseAddress(text)));
const HERE = ['192.168.99.11', 'fd00:99::11'].map((text) => unwrap(parseAddress(text)));
const SERVICES = [
  ['tcp', 80],
  ['udp', 80],
  ['icmp', 0],
] as const;

function leased({ leases }: Snapshot): readonly Address[] {
  return leases.flatMap(({ addresses }) => addresses);
}

function step(before: Snapshot, after: Snapshot): { readonly stayed: readonly Address[]; readonly turned: Turned } {
  const [held, holds] = [new Set(leased(before)), new Set(leased(after))];
  const [stayed, turnedOver] = [held.intersection(holds), held.symmetricDifference(holds)];
  const turned = turnedVerdicts(plan(before).ruleset, plan(after).ruleset, () => ({ stayed, turnedOver }));
  return { stayed: [...stayed], turned };
}

void test('turnedVerdicts names a local end of every connection whose verdict has turned, in random worlds', () => {
  fc.assert(
    fc.property(histories, (history) => {
      for (const [index, after] of history.entries()) {
        const before = history[index - 1];
        if (before !== undefined) checkStep(before, after);
      }
    }),
    { numRuns: 300 },
  );
});

function checkStep(before: Snapshot, after: Snapshot): void {
  const { stayed, turned } = step(before, after);
  if (turned === 'all') return;
  const [old, now] = [plan(before).ruleset, plan(after).ruleset];
  const interfaceOf = (address: Address): string =>
    after.leases.find(({ addresses }) => addresses.includes(address))?.hostInterface ?? 'eth0';
  const check = (verdictOf: typeof forwardVerdict, saddr: Address, daddr: Address): void => {
    for (const [l4proto, dport] of SERVICES) {
      const packet = { iifname: interfaceOf(saddr), oifname: interfaceOf(daddr), saddr, daddr, l4proto, dport };
      if (verdictOf(old, packet) === verdictOf(now, packet)) continue;
      assert.ok(turned.has(saddr) || turned.has(daddr), `${saddr} to ${daddr} ${l4proto} has turned`);
    }
  };
  const peers = after.peerPods.flatMap(({ addresses }) => addresses);
  for (const mine of stayed) {
    for (const other of [...stayed, ...peers, ...OTHERS]) {
      if (familyOf(mine) !== familyOf(other)) continue;
      check(forwardVerdict, mine, other);
      check(forwardVerdict, other, mine);
    }
    for (const here of HERE) if (familyOf(here) === familyOf(mine)) check(inputVerdict, mine, here);
  }
}

void test('turnedVerdicts names only pods of whose policies something differs', () => {
  const pods = ['backend', 'frontend'].map((segment, n) => {
    return { namespace: 'tenant-a', name: segment, labels: { segment }, host: 1, endpoint: n + 3 };
  });
  const other = { podSelector: { segment: 'frontend' }, allowIncoming: { from: [{ pods: { segment: 'backend' } }] } };
  const before = snapshotOf({ pods, policies: [pol1('tenant-a'), pol1('tenant-a', other, 'other')] });
  const after = { ...before, policies: [pol1('tenant-a', { ...other, allowIncoming: {} }, 'other'), pol1('tenant-a')] };
  const [, frontend] = before.leases;
  assert.deepEqual(step(before, after).turned, new Set(frontend?.addresses));
  assert.deepEqual(step(before, before).turned, new Set());
});

void test('turnedVerdicts: a pod that comes or goes turns nobody, though it is a peer of others; one elsewhere does', () => {
  const labels = { segment: 'frontend', app: 'client' };
  const client = (host: number): Parameters<typeof snapshotOf>[0]['pods'] => [
    { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 },
    { namespace: 'tenant-a', name: 'client', labels, host, endpoint: 4 },
  ];
  const ingress = { from: [{ pods: { app: 'client' } }] };
  const policies = [pol1('tenant-a', { podSelector: { segment: 'backend' }, allowIncoming: ingress })];
  const alone = snapshotOf({ pods: client(1)?.slice(0, 1) ?? [], policies });
  const [here, there] = [1, 2].map((host) => snapshotOf({ pods: client(host) ?? [], policies }));
  assert.ok(here !== undefined && there !== undefined);
  assert.notDeepEqual(plan(alone).ruleset, plan(here).ruleset);
  assert.deepEqual(step(alone, here).turned, new Set());
  assert.deepEqual(step(here, alone).turned, new Set());
  assert.deepEqual(step(alone, there).turned, new Set(alone.leases[0]?.addresses));
});

const BACKEND = { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 };
/** Of the Admin tier, for all pods. */
const ADMIN: Policy = {
  ...pol1('tenant-a'),
  source: 'admin',
  ref: { kind: 'ClusterNetworkPolicy', namespace: '', name: 'admin', uid: 'admin' },
  subject: { namespaces: { kind: 'selector', selector: EVERYTHING }, pods: EVERYTHING },
  ingress: [{ action: 'Deny', peers: cidr('192.0.2.0/24'), ports: 'any', field: 'spec.ingress[0]' }],
  egress: [],
};

function cidr(text: string): Policy['ingress'][number]['peers'] {
  return [{ kind: 'cidrs', blocks: [{ cidr: unwrap(parseCidr(text)), except: [] }] }];
}

void test('turnedVerdicts sees what changes in a tier behind another', () => {
  const before = snapshotOf({ pods: [BACKEND], policies: [ADMIN, pol1('tenant-a')] });
  const edited = pol1('tenant-a', { podSelector: { segment: 'backend' }, allowIncoming: {} });
  const { turned } = step(before, { ...before, policies: [ADMIN, edited] });
  assert.deepEqual(turned, new Set(before.leases[0]?.addresses));
});

void test('turnedVerdicts takes a chain that begins or ends to be asked of packets for a change for all', () => {
  const before = snapshotOf({ pods: [BACKEND], policies: [ADMIN] });
  const egress = [{ action: 'Deny', peers: cidr('192.168.99.0/24'), ports: 'any', field: 'spec.egress[0]' }] as const;
  const after = { ...before, policies: [{ ...ADMIN, egress }] };
  assert.equal(step(before, after).turned, 'all');
  assert.equal(step(after, before).turned, 'all');
});
