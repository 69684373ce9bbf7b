import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clusterOf, type Cluster } from './cluster.ts';
import { evaluate } from './evaluate.ts';
import { declaredPorts, matrix } from './matrix.ts';
import { clustersWith, policies } from './random-clusters.ts';
import { address, cidr, podsIn, podsWhere, policy } from './test-world.ts';
import { portAt, type TriedPort } from './verdict-table.ts';

const PORTS: readonly TriedPort[] = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'TCP', port: 85 },
  { protocol: 'UDP', port: 53 },
  { protocol: 'SCTP', port: 80 },
  { protocol: 'ICMP' },
  { protocol: 'TCP', name: 'web' },
  { protocol: 'UDP', name: 'dns' },
];

/** What `evaluate` says of each pair. */
function pairByPair({ world, endpoints }: Cluster, tried: TriedPort): string[] {
  return endpoints.map((from, i) =>
    endpoints
      .map((to, j) => {
        if (i === j) return '.';
        const port = portAt(tried, to);
        if (port === undefined) return 'X';
        return evaluate(world, from.party, to.party, port).verdict === 'allow' ? '.' : 'X';
      })
      .join(''),
  );
}

test('property: matrix is what evaluate says pair by pair, its diagonal allowed', () => {
  fc.assert(
    fc.property(clustersWith(policies), fc.subarray([...PORTS], { minLength: 1 }), (cluster, ports) => {
      for (const [i, { row }] of matrix(cluster, ports).entries()) {
        const found = cluster.endpoints.map((_, source) => row(source));
        const tried = ports[i];
        assert.ok(tried !== undefined);
        assert.deepEqual(found, pairByPair(cluster, tried), JSON.stringify(tried));
      }
    }),
    { numRuns: 500 },
  );
});

/** The matrix of many pods and policies, and the seconds of processor time that it took. */
function timed(pods: number, count: number): { readonly seconds: number; readonly matrix: readonly string[] } {
  const meta = { uid: '', resourceVersion: '', annotations: new Map<string, string>(), finalizers: [] };
  const cluster = clusterOf({
    segmentLabel: 'segment',
    namespaces: [],
    nodes: [],
    pods: Array.from({ length: pods }, (_, i) => ({
      meta: {
        ...meta,
        namespace: `ns${i % 20}`,
        name: `pod${i}`,
        labels: new Map([
          ['app', `app${i % 97}`],
          ['hash', String(i)],
        ]),
      },
      nodeName: `node${i % 10}`,
      hostNetwork: i % 50 === 0,
      phase: 'Running',
      addresses: [address(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)],
      ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
      serviceAccountName: '',
    })),
    policies: Array.from({ length: count }, (_, i) =>
      policy('v1', `ns${i % 20}/p${i}`, {
        subject: podsIn([`ns${i % 20}`], `app=app${i % 97}`),
        isolates: { ingress: true, egress: false },
        ingress: [
          {
            action: 'Accept',
            peers: [
              { kind: 'pods', selection: podsWhere('', `app=app${(i * 7) % 97}`) },
              { kind: 'cidrs', blocks: [{ cidr: cidr('10.0.0.0/16'), except: [cidr('10.0.3.0/24')] }] },
            ],
            ports: [{ protocol: 'TCP', ports: { name: 'http' } }],
            field: 'spec.ingress[0]',
          },
        ],
      }),
    ),
  });
  const before = process.cpuUsage();
  const [one] = matrix(cluster, [{ protocol: 'TCP', port: 80 }]);
  const rows = cluster.endpoints.map((_, source) => one?.row(source) ?? '');
  const { user, system } = process.cpuUsage(before);
  return { seconds: (user + system) / 1e6, matrix: rows };
}

test('matrix of 1,000 pods and 500 policies takes well under 2 s, of 10,000 pods not a hundred times as long', () => {
  const small = timed(1_000, 500);
  assert.ok(small.seconds < 1, `1,000 pods took ${small.seconds} s`);
  assert.equal(small.matrix.length, 1_000);
  const large = timed(10_000, 500);
  assert.ok(large.seconds < 5, `10,000 pods took ${large.seconds} s`);
  assert.equal(large.matrix[9_999]?.length, 10_000);
});

test('declaredPorts are those of all endpoints by protocol, then number', () => {
  const [cluster] = fc.sample(clustersWith(fc.constant([])), { numRuns: 1, seed: 1 });
  const [endpoint] = cluster?.endpoints ?? [];
  assert.ok(endpoint !== undefined);
  const ports = [
    { name: 'b', protocol: 'UDP' as const, port: 53 },
    { name: 'a', protocol: 'TCP' as const, port: 443 },
    { name: '', protocol: 'TCP' as const, port: 80 },
    { name: 'c', protocol: 'TCP' as const, port: 80 },
  ];
  assert.deepEqual(declaredPorts([{ ...endpoint, ports }]), [
    { protocol: 'TCP', port: 80 },
    { protocol: 'TCP', port: 443 },
    { protocol: 'UDP', port: 53 },
  ]);
});
