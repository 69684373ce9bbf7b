import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PLANS, hostRange } from '../addr/plan.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { microTime } from '../kube/leader.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { unwrap } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import { type HostReport, parseHostReport } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import { parseNamespace } from '../objects/namespace.ts';
import { parseNetworkPolicy } from '../objects/network-policy.ts';
import { v1Policy } from '../policy/from-v1.ts';
import { parsePod, type Pod } from '../objects/pod.ts';
import { LEASES } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { type Observation, REPORT_LATE_MS } from './status-findings.ts';
import { clusterStatus, formatClusterStatus, leaderOf, observe } from './status.ts';

const CREATED = '2026-01-01T00:00:00Z';
const LATER = Date.parse(CREATED) + REPORT_LATE_MS + 1;
const LEASE = { namespace: 'kube-system', namespaces: ['romana-system', 'kube-system'], name: 'romana-controller' };
const NONE = { objects: [], unreadable: [] };

function report(endpoints: number): HostReport {
  return unwrap(parseHostReport({ metadata: { name: 'minion1' }, status: { use: { endpoints, pool: 0 } } }));
}

function pod(name: string, ip: string): Pod {
  const metadata = { name, namespace: 'tenant-a', creationTimestamp: CREATED };
  return unwrap(parsePod({ metadata, spec: { nodeName: 'minion1' }, status: { phase: 'Running', podIP: ip } }));
}

const WELL: Observation = {
  now: LATER,
  network: {
    plans: DEFAULT_PLANS,
    fault: '',
    hostIdsLeft: 254,
    conditions: [
      { type: 'PlanAccepted', status: 'True', reason: 'Accepted', message: '', lastTransitionTime: CREATED },
    ],
  },
  leader: { holder: 'master_1', fresh: true, renewedSeconds: 1 },
  nodes: [{ name: 'minion1', ready: true, why: '' }],
  hosts: {
    objects: [
      unwrap(
        parseHost({
          metadata: { name: 'minion1' },
          spec: {
            id: 1,
            ranges: DEFAULT_PLANS.map((plan) => hostRange(plan, 1)),
            addresses: ['192.168.99.11'],
          },
        }),
      ),
    ],
    unreadable: [],
  },
  reports: { objects: [report(1)], unreadable: [] },
  tenants: NONE,
  namespaces: NONE,
  policies: NONE,
  pods: { objects: [pod('web', '10.1.17.3')], unreadable: [] },
};

/** The lines of the findings when `change` is different from a cluster that is well. */
function lines(change: Partial<Observation>): readonly string[] {
  const text = formatClusterStatus(clusterStatus({ ...WELL, ...change }), 'table');
  return text.split('\n').filter((line) => /^(wrong|warning|all)/.test(line));
}

void test('formatClusterStatus shows a cluster that is well in a line for each part', () => {
  assert.equal(
    formatClusterStatus(clusterStatus(WELL), 'table'),
    `network      10.0.0.0/8:8,4,4,8 fd00:10::/64:16,16,16,16; 254 host ids left
controller   master_1 leads, lease renewed 1 s ago
hosts        1 of 1 ready
tenants      0, 0 in the shared pool
addresses    1 in use, 0 of the shared pool
policies     0, 0 invalid

all is well
`,
  );
});

void test('formatClusterStatus names a missing controller, node trouble and a missing report, one line each', () => {
  assert.deepEqual(
    lines({
      network: undefined,
      leader: { holder: 'master_1', fresh: false, renewedSeconds: 40 },
      nodes: [...WELL.nodes, { name: 'minion2', ready: false, why: 'kubelet\nstopped' }],
      reports: NONE,
    }),
    [
      'wrong: Network/default there is none, so no host and no pod gets an address; create it',
      'wrong: Lease/romana-controller master_1 has not renewed it for 40 s: new nodes, tenants and segments get no ids; start `romana controller`, or read its log',
      'wrong: Node/minion2 is not Ready: kubelet stopped; see kubectl describe node, and the log of its kubelet',
      'wrong: Node/minion2 has no Host, so its pods get no addresses; see its events, and read the log of `romana controller`',
      'wrong: HostReport/minion1 is missing: the agent of this host has not reported yet; read the log of `romana agent` there',
    ],
  );
});

void test('clusterStatus names a host without an address, unless its Node is not Ready anyway', () => {
  const [host] = WELL.hosts.objects;
  assert.ok(host !== undefined);
  const hosts = { objects: [{ ...host, addresses: [] }], unreadable: [] };
  assert.match(lines({ hosts })[0] ?? '', /^wrong: Host\/minion1 has no address/);
  const nodes = [{ name: 'minion1', ready: false, why: 'it starts' }];
  assert.ok(!lines({ hosts, nodes }).some((line) => line.includes('no address')));
});

void test('clusterStatus takes a report for stale that counts less than pods that have been there for a while', () => {
  const stale = { reports: { objects: [report(0)], unreadable: [] } };
  assert.match(lines(stale)[0] ?? '', /^wrong: HostReport\/minion1 is stale: it counts 0 addresses in use/);
  assert.deepEqual(lines({ ...stale, now: LATER - 1_000 }), ['all is well']);
});

void test('clusterStatus says so when the plan is refused, unread, or not judged', () => {
  const network = { plans: undefined, fault: 'spec.plans: is odd', hostIdsLeft: undefined, conditions: [] };
  assert.match(lines({ network })[0] ?? '', /^wrong: Network\/default can't be read: spec.plans: is odd/);
  assert.match(
    lines({ network: { ...network, fault: '', plans: DEFAULT_PLANS } })[0] ?? '',
    /no controller has judged/,
  );
  const refused = { type: 'PlanAccepted', status: 'False', reason: 'NoHostIds', message: 'all taken' } as const;
  const conditions = [{ ...refused, lastTransitionTime: CREATED }];
  assert.match(
    lines({ network: { ...network, fault: '', conditions } })[0] ?? '',
    /PlanAccepted is False \(NoHostIds\)/,
  );
});

void test('clusterStatus warns of tenants and segments in the shared pool, and is well', () => {
  const segments = [
    { name: 'few', id: 15 },
    { name: 'many', id: 16 },
  ];
  const tenants = [
    { metadata: { name: 'a' }, status: { id: 1, segments } },
    { metadata: { name: 'b' }, status: { id: 16 } },
    { metadata: { name: 'c' }, status: { pooled: true } },
  ].map((json) => unwrap(parseTenant(json)));
  const seen = { ...WELL, tenants: { objects: tenants, unreadable: [] } };
  assert.deepEqual(clusterStatus(seen).tenants, { total: 3, pooled: 2 });
  assert.deepEqual(
    lines(seen).map((line) => line.split(':').slice(0, 2).join(':')),
    [
      'warning: Tenant/a no segment id is left for "many"',
      'warning: Tenant/b no tenant id is left in IPv4',
      'warning: Tenant/c no tenant id is left in IPv4, IPv6',
      'all is well',
    ],
  );
});

void test('clusterStatus names unreadable annotations and policies, and pods with addresses of others', () => {
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'perhaps' };
  const namespaces = { objects: [unwrap(parseNamespace({ metadata: { name: 'a', annotations } }))], unreadable: [] };
  const odd = { metadata: { namespace: 'a', name: 'odd' }, spec: { oops: 1 } };
  const policies = {
    objects: [v1Policy(unwrap(parseNetworkPolicy(odd)))],
    unreadable: [{ kind: 'NetworkPolicy', name: 'a/pol1', why: 'spec: is required' }],
  };
  const pods = { objects: [...WELL.pods.objects, pod('alien', '172.17.0.2')], unreadable: [] };
  const found = clusterStatus({ ...WELL, namespaces, policies, pods }).findings;
  assert.deepEqual(
    found.map(({ severity, about }) => `${severity} ${about}`),
    ['error Namespace/a', 'error Pod/tenant-a/alien', 'error NetworkPolicy/a/pol1', 'warning NetworkPolicy a/odd'],
  );
});

void test('leaderOf takes a lease for fresh within its term, and when nobody holds it for none', () => {
  const spec = { holderIdentity: 'me', leaseDurationSeconds: 10, renewTime: microTime(50_000) };
  assert.deepEqual(leaderOf({ spec }, 60_000), { holder: 'me', fresh: true, renewedSeconds: 10 });
  assert.deepEqual(leaderOf({ spec }, 61_000), { holder: 'me', fresh: false, renewedSeconds: 11 });
  assert.equal(leaderOf({ spec: { ...spec, holderIdentity: '' } }, 50_000)?.fresh, false);
  assert.equal(leaderOf(undefined, 0), undefined);
});

void test('observe takes a lease for fresh that is renewed before its eyes, whatever the time on it', async () => {
  const clock = new FakeClock(1_000_000);
  const client = new FakeKubeClient(() => clock.now());
  const spec = { holderIdentity: 'me', leaseDurationSeconds: 10, renewTime: microTime(0) };
  await client.create(LEASES, { metadata: { name: LEASE.name }, spec }, LEASE.namespace);
  for (const renew of [true, false]) {
    const seen = observe(client, { clock, lease: LEASE });
    await waitFor('the second look', () => clock.sleeping === 1);
    if (renew) await client.patch(LEASES, LEASE.name, { spec: { renewTime: microTime(5) } }, LEASE);
    await clock.advance(3_000);
    assert.equal((await seen).leader?.fresh, renew);
  }
});

/** A host whose agent says that others' rules drop, or may drop, what it forwards. */
function blocked(status: 'False' | 'Unknown'): Partial<Observation> {
  const condition = { type: 'ForwardingAllowed', reason: 'ForeignForwardDrop', message: 'chain x', status } as const;
  const conditions = [{ ...condition, lastTransitionTime: CREATED }];
  return { reports: { objects: [{ ...report(1), conditions }], unreadable: [] } };
}

void test('clusterStatus tells what blocks pods on a host: wrong when it does, a warning when it may', () => {
  const said = 'HostReport/minion1 ForwardingAllowed is';
  const after = '(ForeignForwardDrop): chain x; its agent looks again every 10 s';
  assert.deepEqual(lines(blocked('False')), [`wrong: ${said} False ${after}`]);
  assert.deepEqual(lines(blocked('Unknown')), [`warning: ${said} Unknown ${after}`, 'all is well']);
});

void test('clusterStatus says that an agent does not report any more', () => {
  const reports = { objects: [{ ...report(1), reportedAt: CREATED }], unreadable: [] };
  const now = Date.parse(CREATED);
  assert.deepEqual(lines({ reports, now: now + 170_000 }), ['all is well']);
  assert.match(lines({ reports, now: now + 200_000 })[0] ?? '', /^wrong: HostReport\/minion1 is 200 s old: its agent/);
});

void test('clusterStatus names reports of nodes that are gone, which hold up the reuse of ids', () => {
  const gone = unwrap(parseHostReport({ metadata: { name: 'minion7' } }));
  const [line] = lines({ reports: { objects: [report(1), gone], unreadable: [] } });
  assert.match(
    line ?? '',
    /^warning: HostReport\/minion7 is of a node that is gone; .*kubectl delete hostreport minion7$/,
  );
});
