import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../lib/fake-clock.ts';
import { conditionOf } from '../kube-json.ts';
import { NODE_LEASE } from '../node-lease.ts';
import type { ContractClient } from './contract-client.ts';
import { startServer } from './test-server.ts';

const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${NODE_LEASE.namespace}/leases`;
const PODS = '/api/v1/namespaces/default/pods';
const MERGE = { type: 'application/merge-patch+json' };
const READY = { conditions: [{ type: 'Ready', status: 'True', reason: 'Fine', message: 'fine' }] };

async function renew(api: ContractClient, node: string, renewTime: string): Promise<void> {
  await api.expect(200, 'PATCH', `${LEASES}/${node}`, { spec: { renewTime } }, MERGE);
}

async function readyOf(api: ContractClient, path: string): Promise<string> {
  const condition = conditionOf(await api.expect(200, 'GET', path), 'Ready');
  return `${condition?.status} ${condition?.reason}`;
}

test('NodeMonitor doubts a node that is silent, with its pods, until it is heard of again; others it leaves', async (t) => {
  const clock = new FakeClock(1_000_000);
  const { api } = await startServer(t, { clock });
  await api.create('/api/v1/namespaces', { metadata: { name: NODE_LEASE.namespace } });
  for (const name of ['quiet', 'lively']) {
    await api.create('/api/v1/nodes', { metadata: { name }, status: READY });
    await api.create(LEASES, { metadata: { name }, spec: { holderIdentity: name } });
    const spec = { nodeName: name, containers: [{ name: 'main', image: 'any' }] };
    await api.create(PODS, { metadata: { name }, spec });
    await api.expect(200, 'PATCH', `${PODS}/${name}/status`, { status: READY }, MERGE);
  }
  await clock.advance(500);
  const both = async (name: string): Promise<string[]> =>
    Promise.all([readyOf(api, `/api/v1/nodes/${name}`), readyOf(api, `${PODS}/${name}`)]);
  for (let second = 0; second < NODE_LEASE.seconds; second += 1) {
    await renew(api, 'lively', `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000Z`);
    await clock.advance(1_000);
  }
  assert.deepEqual(await both('quiet'), ['True Fine', 'True Fine']);
  await clock.advance(1_000);
  assert.deepEqual(await both('quiet'), ['Unknown NodeStatusUnknown', 'False Fine']);
  assert.deepEqual(await both('lively'), ['True Fine', 'True Fine']);
  const table = await api.expect(200, 'GET', '/api/v1/nodes/quiet', undefined, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  });
  assert.match(JSON.stringify(table), /"cells":\["quiet","NotReady"/);

  await api.expect(200, 'PATCH', '/api/v1/nodes/quiet/status', { status: READY }, MERGE);
  await clock.advance(2_000);
  assert.equal((await both('quiet'))[0], 'True Fine');
  await api.expect(200, 'DELETE', `${PODS}/quiet`, { gracePeriodSeconds: 0 });
  await api.expect(404, 'GET', `${PODS}/quiet`);
});
