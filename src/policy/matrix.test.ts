import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Cluster } from './cluster.ts';
import { evaluate } from './evaluate.ts';
import { declaredPorts, matrix } from './matrix.ts';
import { clustersWith, policies } from './random-clusters.ts';
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
    { numRuns: 1_500 },
  );
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
