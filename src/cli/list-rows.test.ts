import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PLANS, hostRange } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import { parseHostReport } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import { parseNetwork } from '../objects/network.ts';
import { parsePod } from '../objects/pod.ts';
import { parseTenant } from '../objects/tenant.ts';
import type { IdsView } from './cluster-view.ts';
import { endpointEvents, formatEvent, EVENTS_TITLE } from './endpoints-watch.ts';
import { endpointRows } from './endpoints.ts';
import { hostRows, readinessOf } from './hosts.ts';
import { formatRows, formatTable } from './listing.ts';
import { parseClusterNetworkPolicy } from '../objects/cluster-network-policy.ts';
import { parseNetworkPolicy } from '../objects/network-policy.ts';
import { clusterPolicy } from '../policy/from-cluster.ts';
import { v1Policy } from '../policy/from-v1.ts';
import { policyRows } from './policies.ts';
import { segmentRows } from './segments.ts';
import { tenantRows } from './tenants.ts';

const IDS: IdsView = {
  network: unwrap(parseNetwork({ metadata: { name: 'default' }, spec: {} })),
  hosts: [
    unwrap(
      parseHost({
        metadata: { name: 'minion1' },
        spec: { id: 1, ranges: DEFAULT_PLANS.map((plan) => hostRange(plan, 1)) },
      }),
    ),
  ],
  tenants: [
    { metadata: { name: 'wide' }, status: { id: 16, segments: [{ name: '', id: 1 }] } },
    { metadata: { name: 'poor' }, status: { pooled: true } },
    {
      metadata: { name: 'full' },
      status: {
        id: 2,
        segments: [
          { name: 'late', id: 0 },
          { name: 'early', id: 1 },
        ],
      },
    },
  ].map((json) => unwrap(parseTenant(json))),
  reports: [
    unwrap(
      parseHostReport({
        metadata: { name: 'minion1' },
        status: {
          leases: [
            { tenant: 0, segment: 0, count: 4 },
            { tenant: 2, segment: 1, count: 3 },
            { tenant: 2, segment: 0, count: 1 },
          ],
          use: { endpoints: 4, pool: 4 },
        },
      }),
    ),
  ],
};

function pod(name: string, ips: readonly string[], spec: object = {}): Parameters<typeof endpointRows>[1][number] {
  const metadata = { name, namespace: 'poor', labels: { segment: 'web' } };
  const podIPs = ips.map((ip) => ({ ip }));
  return unwrap(parsePod({ metadata, spec: { nodeName: 'minion1', ...spec }, status: { phase: 'Running', podIPs } }));
}

void test('tenantRows says in which families a tenant is in the shared pool', () => {
  assert.deepEqual(
    tenantRows(IDS, []).map(({ tenantName, tenant, pool, poolFamilies, use }) => [
      tenantName,
      tenant,
      pool,
      poolFamilies,
      use?.endpoints,
    ]),
    [
      ['full', 2, undefined, [], 4],
      ['poor', 0, true, [4, 6], undefined],
      ['wide', 16, true, [4], 0],
    ],
  );
});

void test('segmentRows has the pods without the label first and segments without an id last', () => {
  assert.deepEqual(
    segmentRows(IDS).map(({ tenantName, segment, segmentName, poolFamilies, use }) => [
      tenantName,
      segment,
      segmentName,
      poolFamilies,
      use?.endpoints,
    ]),
    [
      ['full', 0, undefined, [], 1],
      ['full', 1, 'early', [], 3],
      ['full', 0, 'late', [4, 6], undefined],
      ['poor', 0, undefined, [4, 6], undefined],
      ['wide', 0, undefined, [4], 0],
      ['wide', 1, '', [4], 0],
    ],
  );
});

void test('hostRows leaves use out until the agent has reported, and takes a host without a Node for not ready', () => {
  const [row] = hostRows({ ...IDS, reports: [] }, []);
  assert.equal(row?.ready, false);
  assert.equal(row !== undefined && 'use' in row, false);
  assert.deepEqual(readinessOf({ metadata: { name: 'n' } }), {
    name: 'n',
    ready: false,
    why: 'its kubelet has not said so yet',
  });
});

void test('endpointRows names whose a pool address is, and leaves out what is no endpoint of ours', () => {
  const rows = endpointRows(IDS, [
    pod('web', ['10.1.1.5']),
    pod('alien', ['10.2.17.3']),
    pod('other-plugin', ['172.17.0.2']),
    pod('of-the-host', ['10.1.17.9'], { hostNetwork: true }),
  ]);
  assert.deepEqual(rows, [
    {
      address: '10.1.1.5',
      family: 4,
      host: 1,
      hostName: 'minion1',
      tenant: 0,
      tenantName: 'poor',
      segment: 0,
      segmentName: 'web',
      endpoint: 261,
      pool: true,
      pod: 'web',
    },
  ]);
});

void test('endpointEvents tells what is gone before what is new, and nothing of what stays', () => {
  const before = endpointRows(IDS, [pod('a', ['10.1.0.3']), pod('b', ['10.1.0.4'])]);
  const after = endpointRows(IDS, [pod('a', ['10.1.0.3']), pod('c', ['10.1.0.4'])]);
  const events = endpointEvents(before, after);
  assert.equal(
    EVENTS_TITLE + events.map((event) => formatEvent(event, 'table')).join(''),
    `EVENT     ADDRESS               POD                            HOST           TENANT   SEGMENT   SEGMENT NAME     ENDPOINT
GONE      10.1.0.4              poor/b                         1 (minion1)    pool     -         web              4
ADDED     10.1.0.4              poor/c                         1 (minion1)    pool     -         web              4
`,
  );
  assert.deepEqual(endpointEvents(after, after), []);
  assert.match(events.map((event) => formatEvent(event, 'yaml')).join(''), /^---\nevent: GONE\naddress: 10\.1\.0\.4\n/);
});

void test('policyRows shows a policy that opens nothing, and why one can not be read', () => {
  const unreadable = [{ kind: 'NetworkPolicy', name: 'a/bad', why: 'spec.oops: is not known' }];
  assert.deepEqual(policyRows({ objects: [], unreadable }, [], []), [
    { tenantName: 'a', policyName: 'bad', source: 'demo', isolated: true, problem: 'spec.oops: is not known' },
  ]);
});

function v1(spec: object): unknown {
  return { metadata: { namespace: 'a', name: 'p' }, spec };
}

function cluster(name: string, spec: object): unknown {
  return { metadata: { name }, spec: { tier: 'Admin', priority: 7, subject: { namespaces: {} }, ...spec } };
}

void test('policyRows shows the rules of policies of every kind, those of the cluster first', () => {
  const policies = [
    v1Policy(
      unwrap(
        parseNetworkPolicy(
          v1({
            podSelector: { matchLabels: { app: 'db' } },
            ingress: [
              { from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 80 }, { port: 'sql' }] },
            ],
            egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { namespaceSelector: {} }] }],
          }),
        ),
      ),
    ),
    clusterPolicy(
      unwrap(
        parseClusterNetworkPolicy(
          cluster('c', {
            ingress: [{ action: 'Pass', from: [{ namespaces: { matchLabels: { team: 'x' } } }] }],
            egress: [
              { action: 'Deny', to: [{ nodes: {} }], protocols: [{ udp: { destinationPort: { number: 53 } } }] },
              { action: 'Accept', to: [{ domainNames: ['a.b'] }] },
            ],
          }),
        ),
      ),
    ),
  ];
  assert.deepEqual(policyRows({ objects: [], unreadable: [] }, policies, []), [
    {
      tenantName: '',
      policyName: 'c',
      source: 'admin',
      isolated: false,
      priority: 7,
      selects: 'all pods of all tenants',
      rules: [
        'pass from all pods of tenants team=x on any port',
        'deny to nodes all on UDP/53',
        'accept to nobody on any port',
      ],
      problem: 'spec.egress[1].to[0].domainNames: domain names are not enforced',
    },
    {
      tenantName: 'a',
      policyName: 'p',
      source: 'v1',
      isolated: true,
      isolates: ['ingress', 'egress'],
      selects: 'app=db',
      rules: [
        'from app=web on TCP/80, TCP/sql',
        'to 10.0.0.0/8 except 10.1.0.0/16 or all pods of all tenants on any port',
      ],
    },
  ]);
});

void test('formatRows prints an empty list, and cells that can not steer a terminal', () => {
  const columns = [{ title: 'NAME', cell: (row: { readonly name: string }) => row.name }];
  assert.equal(formatRows([], columns, 'table'), 'NAME\n');
  assert.equal(formatRows([], columns, 'json'), '[]\n');
  assert.equal(formatRows([{ name: 'a' }], columns, 'yaml'), '- name: a\n');
  assert.equal(formatTable([['a\u001B[2Jb\n']]), 'a [2Jb\n');
});
