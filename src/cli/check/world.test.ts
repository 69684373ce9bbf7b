import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINT_SLICES, HOSTS, NETWORKS, SERVICES } from '../../objects/resources.ts';
import { FakeCluster } from './fake-cluster.ts';
import { isOutside, parseTarget, readWorld } from './world.ts';

test('readWorld finds nodes, families, the API server and its Service', async () => {
  const cluster = new FakeCluster(['b', 'a']);
  const where = { name: 'kubernetes', namespace: 'default' };
  await cluster.create(SERVICES, {
    metadata: where,
    spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd96::1'], ports: [{ port: 443 }] },
  });
  await cluster.create(ENDPOINT_SLICES, {
    metadata: { ...where, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    endpoints: [{ addresses: ['203.0.113.9'] }],
    ports: [{ port: 6443 }],
  });
  const world = await readWorld(cluster);
  assert.deepEqual(world, {
    nodes: [
      { name: 'a', addresses: ['192.168.99.11'], fault: undefined },
      { name: 'b', addresses: ['192.168.99.10'], fault: undefined },
    ],
    families: [4],
    ranges: ['10.0.0.0/16', '10.1.0.0/16'],
    apiService: [
      { address: '10.96.0.1', port: 443 },
      { address: 'fd96::1', port: 443 },
    ],
    apiServer: [{ address: '203.0.113.9', port: 6443 }],
    image: undefined,
  });
  const outside = (text: string): boolean => isOutside(world, parseTarget(text).address);
  assert.deepEqual(['203.0.113.9:1', '192.168.99.10:1', '10.1.2.3:1', '10.2.0.3:1'].map(outside), [
    true,
    false,
    false,
    true,
  ]);
});

test('readWorld does without what a small API server lacks, and says what is wrong with a node', async () => {
  const cluster = new FakeCluster(['a']);
  await cluster.delete(HOSTS, 'a');
  const { apiService, apiServer, nodes } = await readWorld(cluster);
  assert.deepEqual([apiService, apiServer], [undefined, []]);
  assert.equal(nodes[0]?.fault, 'has no Host, so its pods get no addresses');
  await cluster.delete(NETWORKS, 'default');
  await assert.rejects(readWorld(cluster), /Romana is not installed there/);
});

test('parseTarget reads addresses of both families with their ports', () => {
  assert.deepEqual(parseTarget('10.0.0.1:53'), { address: '10.0.0.1', port: 53 });
  assert.deepEqual(parseTarget('[fd00::1]:6443'), { address: 'fd00::1', port: 6443 });
  for (const bad of ['10.0.0.1', '10.0.0.1:0', '10.0.0.1:65536', 'fd00::1:53', 'host:80', '[x]:1', ''])
    assert.throws(() => parseTarget(bad), /must be ADDRESS:PORT/, bad);
});
