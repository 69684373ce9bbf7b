import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Cluster } from './cluster.ts';
import { diff, type ChangedPair } from './diff.ts';
import { evaluate, type Port } from './evaluate.ts';
import { clustersWith, policies } from './random-clusters.ts';
import { address, cidr, policy } from './test-world.ts';

/** Whether the texts of a changed pair have `port` among them. */
function covers(texts: readonly string[], port: Port): boolean {
  return texts.some((text) => {
    if (text === 'everything') return true;
    const [protocol, range] = text.split('/');
    if (protocol !== port.protocol) return false;
    if (range === undefined || port.protocol === 'ICMP') return true;
    const [from = 0, to = from] = range.split('-').map(Number);
    return from <= port.port && port.port <= to;
  });
}

function has(pairs: readonly ChangedPair[], from: string, to: string, port: Port): boolean {
  return pairs.some((pair) => pair.from === from && pair.to === to && covers(pair.ports, port));
}

const port: fc.Arbitrary<Port> = fc.constantFrom(
  { protocol: 'TCP' as const, port: 80 },
  { protocol: 'TCP' as const, port: 85 },
  { protocol: 'TCP' as const, port: 8080 },
  { protocol: 'TCP' as const, port: 65_535 },
  { protocol: 'UDP' as const, port: 53 },
  { protocol: 'SCTP' as const, port: 1 },
  { protocol: 'ICMP' as const },
);

const twoWorlds: fc.Arbitrary<readonly [Cluster, Cluster]> = fc
  .tuple(clustersWith(fc.constant([])), policies, policies)
  .map(([base, before, after]) => [
    { ...base, world: { ...base.world, policies: before } },
    { ...base, world: { ...base.world, policies: after } },
  ]);

test('property: diff opens and closes exactly what evaluate says of every two pods, on every port', () => {
  fc.assert(
    fc.property(twoWorlds, port, ([base, next], tried) => {
      const found = diff(base, next);
      for (const from of base.endpoints) {
        for (const to of base.endpoints) {
          if (from === to) continue;
          const [was, is] = [base, next].map(({ world }) => evaluate(world, from.party, to.party, tried).verdict);
          const wanted = { opens: was === 'deny' && is === 'allow', closes: was === 'allow' && is === 'deny' };
          const shown = {
            opens: has(found.opens, from.name, to.name, tried),
            closes: has(found.closes, from.name, to.name, tried),
          };
          assert.deepEqual(shown, wanted, `${from.name} to ${to.name}`);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('property: diff of a world with itself is nothing', () => {
  fc.assert(
    fc.property(clustersWith(policies), (cluster) => {
      assert.deepEqual(diff(cluster, cluster), { opens: [], closes: [] });
    }),
    { numRuns: 100 },
  );
});

test('diff shows addresses outside and hosts that a change lets in', () => {
  const [cluster] = fc.sample(clustersWith(fc.constant([])), { numRuns: 1, seed: 3 });
  assert.ok(cluster !== undefined);
  const party = {
    kind: 'pod',
    namespace: 'x',
    name: 'a',
    node: '',
    labels: new Map(),
    known: 'all',
    ports: [],
  } as const;
  const endpoints = [{ name: 'x/a', party: { ...party, addresses: [address('10.0.0.1')] }, ports: [] }];
  const allow = (...blocks: string[]): Cluster => {
    const peers = [{ kind: 'cidrs' as const, blocks: blocks.map((text) => ({ cidr: cidr(text), except: [] })) }];
    const rule = { action: 'Accept' as const, peers, ports: 'any' as const, field: 'f' };
    const isolates = { ingress: true, egress: false };
    return {
      ...cluster,
      endpoints,
      world: { ...cluster.world, policies: [policy('v1', 'x/p', { isolates, ingress: [rule] })] },
    };
  };
  const { opens, closes } = diff(allow('192.0.2.0/24'), allow('192.0.2.0/24', '198.51.100.0/24', '192.168.0.1/32'));
  assert.deepEqual(closes, []);
  assert.deepEqual(
    opens.map(({ from, to, ports }) => [from, to, ports]),
    [
      ['host:m', 'x/a', ['everything']],
      ['198.51.100.0/24', 'x/a', ['everything']],
    ],
  );
});
