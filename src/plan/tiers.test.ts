import { test } from 'node:test';
import assert from 'node:assert/strict';
import { parsePlan } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import { parseClusterNetworkPolicy } from '../objects/cluster-network-policy.ts';
import { clusterPolicy } from '../policy/from-cluster.ts';
import type { Policy } from '../policy/model.ts';
import { plan } from './desired.ts';
import { pol1, snapshotOf } from './snapshot-fixture.ts';
import type { Fixture, FixturePod } from './snapshot-fixture.ts';

const IPV4 = [unwrap(parsePlan('10.0.0.0/8:8,4,4,8'))];
const BACKEND: FixturePod = {
  namespace: 'tenant-a',
  name: 'backend',
  labels: { segment: 'backend' },
  host: 1,
  endpoint: 3,
};

function cluster(name: string, spec: object): Policy {
  const whole = { tier: 'Admin', priority: 5, subject: { namespaces: {} }, ...spec };
  return clusterPolicy(unwrap(parseClusterNetworkPolicy({ metadata: { name, uid: name }, spec: whole })));
}

const inNamespace = (name: string, podSelector: object): object => ({
  pods: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } }, podSelector },
});
const segment = (value: string): object => ({ matchLabels: { segment: value } });
const TCP = (number: number): object => ({ tcp: { destinationPort: { number } } });

function planOf(policies: readonly Policy[], more: Partial<Fixture> = {}): ReturnType<typeof plan> {
  const isolated = { 'tenant-a': false, 'tenant-b': false };
  return plan(snapshotOf({ plans: IPV4, isolated, pods: [BACKEND], policies, ...more }));
}

function plain(text: string): string {
  return text.replaceAll(/-[0-9a-f]{8}/g, '');
}

/** The rules of the chains for ingress, without the hashes in names. */
function chainsOf({ ruleset }: ReturnType<typeof plan>): Readonly<Record<string, readonly string[]>> {
  const own = [...ruleset.chains].filter(([name]) => name.startsWith('in-'));
  return Object.fromEntries(own.map(([name, { rules }]) => [plain(name), rules.map(plain)]));
}

test('plan asks the rules of the Admin tier in their order, then the policies in the middle, then the Baseline tier', () => {
  const admin = cluster('admin', {
    ingress: [
      { name: 'web', action: 'Accept', from: [inNamespace('tenant-b', segment('frontend'))], protocols: [TCP(80)] },
      { action: 'Deny', from: [{ namespaces: { matchLabels: { 'kubernetes.io/metadata.name': 'tenant-b' } } }] },
    ],
  });
  const baseline = cluster('base', { tier: 'Baseline', ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }] });
  const opens = pol1('tenant-a', { podSelector: {}, allowIncoming: { toPorts: [{ port: 81, protocol: 'TCP' }] } });
  const desired = planOf([baseline, opens, admin]);
  const hosts = 'ip saddr & 255.255.0.0 == @hosts4';
  const bits = `${hosts} ip saddr != @exceptions4`;
  assert.deepEqual(chainsOf(desired), {
    'in-admin': [
      `${bits} ip saddr & 255.0.255.0 == @peers-segments-4 meta l4proto tcp th dport 80 return comment "ClusterNetworkPolicy admin spec.ingress[0] web"`,
      `${bits} ip saddr & 255.0.240.0 == @peers-tenants-4 goto denied-ingress comment "ClusterNetworkPolicy admin spec.ingress[1]"`,
      `${hosts} ip saddr & 255.0.240.0 != @tenants4 ip saddr != @singles4 goto denied-ingress comment "ClusterNetworkPolicy admin spec.ingress[1]"`,
      'goto in',
    ],
    in: ['meta l4proto . th dport @in-ports return', 'goto in-baseline'],
    'in-baseline': [
      `${bits} ip saddr & 255.0.240.0 == @peers-tenants-4 goto denied-ingress comment "ClusterNetworkPolicy base spec.ingress[0]"`,
      `${hosts} ip saddr & 255.0.240.0 != @tenants4 ip saddr != @singles4 goto denied-ingress comment "ClusterNetworkPolicy base spec.ingress[0]"`,
    ],
  });
});

test('plan watches all pods that a Deny by other labels might mean, and an Accept only those that it means', () => {
  const to = [inNamespace('tenant-b', { matchLabels: { app: 'db' } })];
  const watches = (action: string): unknown => planOf([cluster('p', { egress: [{ action, to }] })]).peerWatches;
  assert.deepEqual(watches('Accept'), [{ namespace: '', selector: 'app=db' }]);
  assert.deepEqual(watches('Deny'), [
    { namespace: '', selector: 'app=db' },
    { namespace: 'tenant-b', selector: '' },
  ]);
});

function deny(to: object): ReturnType<typeof plan> {
  return planOf([cluster('p', { egress: [{ action: 'Deny', to: [to] }] })]);
}

test('plan puts a chain on the way to the host itself only where an egress rule may forbid it', () => {
  assert.ok(!deny(inNamespace('tenant-b', {})).ruleset.chains.has('input'));
  assert.ok(!deny({ nodes: { matchLabels: { rack: '2' } } }).ruleset.chains.has('input'));
  const { ruleset } = deny({ nodes: { matchLabels: { rack: '1' } } });
  assert.match(ruleset.sets.get('host4')?.elements.get('10.1.18.3') ?? '', /^jump host-admin-/);
  assert.ok(ruleset.chains.has('input'));
});
