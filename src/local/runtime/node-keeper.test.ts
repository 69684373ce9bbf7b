import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { NODES } from '../../objects/resources.ts';
import { conditionOf, nameOf } from '../kube-json.ts';
import { NodeKeeper } from './node-keeper.ts';

test('NodeKeeper registers nodes in their order, whichever starts first, so that host ids follow their numbers', async (t) => {
  const client = new FakeKubeClient();
  const end = new AbortController();
  t.after(() => end.abort());
  const created: string[] = [];
  const create = client.create.bind(client);
  client.create = async (resource, object, namespace) => {
    const made = await create(resource, object, namespace);
    if (resource === NODES) created.push(nameOf(made));
    return made;
  };
  const keep = (name: string, after: string | undefined): void => {
    const node = { name, addresses: ['192.168.99.10'], controlPlane: false, port: 10_250, after, bootId: 'b' };
    const cni = { status: () => Promise.resolve() };
    void new NodeKeeper({ node, client, cni, clock: systemClock, log: silentLog, leave: end.signal }).run(end.signal);
  };
  keep('minion2', 'minion1');
  keep('minion1', 'master');
  await waitFor('both to look', () => client.calls.length >= 4);
  assert.deepEqual(created, []);
  keep('master', undefined);
  await waitFor('all three', () => created.length === 3);
  assert.deepEqual(created, ['master', 'minion1', 'minion2']);
});

test('NodeKeeper does not wait for others when its Node is there already', async (t) => {
  const client = new FakeKubeClient();
  const end = new AbortController();
  t.after(() => end.abort());
  await client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'minion2' } });
  const node = {
    name: 'minion2',
    addresses: ['192.168.99.12'],
    controlPlane: false,
    port: 10_250,
    after: 'minion1',
    bootId: 'b',
  };
  const cni = { status: () => Promise.resolve() };
  void new NodeKeeper({ node, client, cni, clock: systemClock, log: silentLog, leave: end.signal }).run(end.signal);
  await waitFor('the status', async () => {
    const json = (await client.get(NODES, 'minion2')) as { status?: { addresses?: unknown } };
    return json.status?.addresses !== undefined;
  });
});

test('NodeKeeper says again that its node is ready when the API server has come to doubt it, and when it goes off', async (t) => {
  const client = new FakeKubeClient();
  const end = new AbortController();
  const leave = new AbortController();
  t.after(() => end.abort());
  const clock = new FakeClock(1_000_000);
  const node = { name: 'n', addresses: [], controlPlane: false, port: 10_250, after: undefined, bootId: 'b' };
  const cni = { status: () => Promise.resolve() };
  void new NodeKeeper({ node, client, cni, clock, log: silentLog, leave: leave.signal }).run(end.signal);
  const ready = (): Promise<string> =>
    client.get(NODES, 'n').then(
      (json) => conditionOf(json, 'Ready')?.status ?? '',
      () => '',
    );
  await waitFor('Ready', async () => (await ready()) === 'True');
  const conditions = [{ type: 'Ready', status: 'Unknown' }];
  await client.patch(NODES, 'n', { status: { conditions } }, { subresource: 'status' });
  await clock.advance(5_000);
  await waitFor('Ready again', async () => (await ready()) === 'True');
  leave.abort();
  await waitFor('not Ready', async () => (await ready()) === 'False');
});
