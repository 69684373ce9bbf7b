import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_REPORTS, HOSTS, NETWORKS, NODES } from '../objects/resources.ts';
import { FakeApi } from './fake-api.ts';
import { settle } from './settle.ts';

const TIME = '2026-01-01T00:00:00Z';
const READY = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: '', lastTransitionTime: TIME };
const ALLOWED = { type: 'ForwardingAllowed', status: 'True', reason: 'NoForeignDrop', message: 'none' };
const BLOCKED = { ...ALLOWED, status: 'False', reason: 'ForeignForwardDrop', message: 'chain x drops' };
const NO_ROUTE = { type: 'HostsReachable', status: 'False', reason: 'NoRoute', message: 'no route leads to n2' };

async function makeApi(): Promise<FakeApi> {
  const api = new FakeApi();
  const plan = { cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 };
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: [plan] } });
  await addNode(api);
  return api;
}

async function addNode(api: FakeApi): Promise<void> {
  await api.create(NODES, { metadata: { name: 'n1' } });
  await setConditions(api, [READY]);
  await settle(api);
}

const setConditions = (api: FakeApi, conditions: readonly object[]): Promise<unknown> =>
  api.patch(NODES, 'n1', { status: { conditions } }, { subresource: 'status' });

interface ConditionJson {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

async function conditions(api: FakeApi): Promise<readonly string[]> {
  const node = (await api.get(NODES, 'n1')) as { status: { conditions: readonly ConditionJson[] } };
  return node.status.conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
}

/** What the agent says, under the uid of the present Host unless it is another. */
async function report(api: FakeApi, found: readonly object[], uid?: string): Promise<void> {
  const host = (await api.get(HOSTS, 'n1')) as { metadata: { uid: string } };
  const status = {
    hostId: 0,
    hostUid: uid ?? host.metadata.uid,
    conditions: found.map((condition) => ({ ...condition, lastTransitionTime: TIME })),
  };
  await api
    .patch(HOST_REPORTS, 'n1', { status }, { subresource: 'status' })
    .catch(() => api.create(HOST_REPORTS, { metadata: { name: 'n1' }, status }));
  await settle(api);
}

void test('NetworkUnavailable of a Node is False when its agent serves, and True while all its pods are cut off', async () => {
  const api = await makeApi();
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady']);
  await report(api, []); // an agent that starts
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady']);
  await report(api, [ALLOWED]);
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady', 'NetworkUnavailable False RomanaIsUp']);
  await report(api, [BLOCKED]);
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady', 'NetworkUnavailable True ForeignForwardDrop']);
  await report(api, []); // it starts again
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady', 'NetworkUnavailable True ForeignForwardDrop']);
  // Its pods reach all hosts but one: no reason to send pods away.
  await report(api, [ALLOWED, NO_ROUTE]);
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady', 'NetworkUnavailable False RomanaIsUp']);
});

void test('NetworkUnavailable of a Node stays as a cloud provider set it until an agent reports under its present Host', async () => {
  const api = await makeApi();
  await report(api, [ALLOWED]);
  await api.delete(NODES, 'n1');
  await settle(api);
  await addNode(api);
  const cloud = { type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated', message: '' };
  await setConditions(api, [cloud, READY]);
  await settle(api);
  assert.deepEqual(await conditions(api), ['NetworkUnavailable True NoRouteCreated', 'Ready True KubeletReady']);
  await report(api, [ALLOWED]);
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady', 'NetworkUnavailable False RomanaIsUp']);
  await report(api, [ALLOWED], 'of-another');
  await setConditions(api, [READY]);
  await settle(api);
  assert.deepEqual(await conditions(api), ['Ready True KubeletReady']);
});
