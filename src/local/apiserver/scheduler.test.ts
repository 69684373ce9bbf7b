import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../lib/wait-for.ts';
import { arrayAt, at, textAt, type ApiObject } from './api-object.ts';
import type { ContractClient } from './contract-client.ts';
import { startServer } from './test-server.ts';

const PODS = '/api/v1/namespaces/default/pods';
const MERGE = { type: 'application/merge-patch+json' };

function node(name: string, { ready = 'True', spec = {}, labels = {} } = {}): object {
  return { metadata: { name, labels }, spec, status: { conditions: [{ type: 'Ready', status: ready }] } };
}

function pod(name: string, spec: object = {}): object {
  return { metadata: { name }, spec: { containers: [{ name: 'main', image: 'nginx' }], ...spec } };
}

async function nodeOf(api: ContractClient, name: string): Promise<string> {
  return waitFor(`a node for ${name}`, async () =>
    textAt(await api.expect(200, 'GET', `${PODS}/${name}`), 'spec', 'nodeName'),
  );
}

async function eventsOf(api: ContractClient, name: string, reason: string): Promise<ApiObject[]> {
  const path = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D${name}`;
  const { items } = await api.expect(200, 'GET', path);
  return (items as ApiObject[]).filter((event) => event['reason'] === reason);
}

test('Scheduler gives pods to ready nodes, fewest pods first, and says so', async (t) => {
  const { api } = await startServer(t);
  for (const name of ['n1', 'n2']) await api.create('/api/v1/nodes', node(name));
  await api.create('/api/v1/nodes', node('n0', { ready: 'False' }));
  const names = ['p1', 'p2', 'p3', 'p4'];
  for (const name of names) await api.create(PODS, pod(name));
  const nodes = await Promise.all(names.map((name) => nodeOf(api, name)));
  assert.deepEqual(nodes.sort(), ['n1', 'n1', 'n2', 'n2']);
  const bound = await api.expect(200, 'GET', `${PODS}/p1`);
  const condition = arrayAt(bound, 'status', 'conditions').find((c) => at(c, 'type') === 'PodScheduled');
  assert.equal(textAt(condition, 'status'), 'True');
  await waitFor('the event', async () => (await eventsOf(api, 'p1', 'Scheduled')).length === 1);
});

test('Scheduler leaves pods that name their node, and other schedulers pods', async (t) => {
  const { api } = await startServer(t);
  await api.create(PODS, pod('mine', { nodeName: 'elsewhere' }));
  await api.create(PODS, pod('theirs', { schedulerName: 'other' }));
  await api.create(PODS, pod('ours'));
  await api.create('/api/v1/nodes', node('n1'));
  assert.equal(await nodeOf(api, 'ours'), 'n1');
  assert.equal(await nodeOf(api, 'mine'), 'elsewhere');
  assert.equal(textAt(await api.expect(200, 'GET', `${PODS}/theirs`), 'spec', 'nodeName'), '');
});

test('Scheduler says once why a pod fits nowhere, and places it when that changes', async (t) => {
  const { api } = await startServer(t);
  await api.create('/api/v1/nodes', node('n1', { spec: { unschedulable: true } }));
  await api.create('/api/v1/nodes', node('n2', { labels: { disk: 'slow' } }));
  await api.create(PODS, pod('one', { nodeSelector: { disk: 'fast' } }));
  await waitFor('the event', async () => (await eventsOf(api, 'one', 'FailedScheduling')).length > 0);
  const waiting = await api.expect(200, 'GET', `${PODS}/one`);
  assert.equal(textAt(waiting, 'status', 'conditions', 0, 'reason'), 'Unschedulable');
  assert.match(
    textAt(waiting, 'status', 'conditions', 0, 'message'),
    /^0\/2 nodes are available: 2 node\(s\) didn't match/,
  );
  await api.expect(200, 'PATCH', '/api/v1/nodes/n2', { metadata: { annotations: { any: 'change' } } }, MERGE);
  await api.expect(200, 'PATCH', '/api/v1/nodes/n2', { metadata: { labels: { disk: 'fast' } } }, MERGE);
  assert.equal(await nodeOf(api, 'one'), 'n2');
  assert.equal((await eventsOf(api, 'one', 'FailedScheduling')).length, 1);
});

test('Scheduler takes up what waits when the server starts, and forgets pods that ended', async (t) => {
  const { api } = await startServer(t);
  await api.create('/api/v1/nodes', node('n1'));
  await api.create(PODS, pod('done'));
  assert.equal(await nodeOf(api, 'done'), 'n1');
  await api.expect(200, 'PATCH', `${PODS}/done/status`, { status: { phase: 'Succeeded' } }, MERGE);
  await api.create('/api/v1/nodes', node('n2'));
  await api.create(PODS, pod('next'));
  assert.equal(await nodeOf(api, 'next'), 'n1');
});

test('Scheduler gives a host port of a node to one pod, and to the next when that is gone', async (t) => {
  const { api } = await startServer(t);
  const containers = [{ name: 'main', image: 'nginx', ports: [{ containerPort: 80, hostPort: 8080 }] }];
  for (const name of ['first', 'second']) await api.create(PODS, pod(name, { containers }));
  await api.create('/api/v1/nodes', node('n1'));
  assert.equal(await nodeOf(api, 'first'), 'n1');
  await waitFor('the event', async () =>
    (await eventsOf(api, 'second', 'FailedScheduling')).some((event) => /free ports/.test(textAt(event, 'message'))),
  );
  await api.create(PODS, pod('other'));
  assert.equal(await nodeOf(api, 'other'), 'n1');
  await api.expect(200, 'PATCH', `${PODS}/first/status`, { status: { phase: 'Failed' } }, MERGE);
  assert.equal(await nodeOf(api, 'second'), 'n1');
});
