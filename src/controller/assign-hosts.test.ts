import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHost } from '../objects/host.ts';
import { HOST_REPORTS, HOSTS, NETWORKS, NODES } from '../objects/resources.ts';
import { FakeApi } from './fake-api.ts';
import { settle } from './settle.ts';

const SMALL = { cidr: '10.0.0.0/8', hostBits: 2, tenantBits: 2, segmentBits: 2, endpointBits: 18 };

async function makeApi(spec: object = {}): Promise<FakeApi> {
  const api = new FakeApi();
  await api.create(NETWORKS, { metadata: { name: 'default' }, spec });
  return api;
}

const addNode = (api: FakeApi, name: string, addresses: string[] = [], labels: object = {}) =>
  api.create(NODES, {
    metadata: { name, labels },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  });

const hosts = (api: FakeApi) => api.read(HOSTS, parseHost);

void test('assign gives Nodes the host ids from 0 in order, with ranges, addresses and labels', async () => {
  const api = await makeApi();
  for (const name of ['minion10', 'minion2', 'master']) await addNode(api, name, ['192.168.99.10'], { zone: 'a' });
  await settle(api);
  assert.deepEqual([...hosts(api).values()].map(({ meta, id }) => `${meta.name} ${id}`).toSorted(), [
    'master 0',
    'minion10 2',
    'minion2 1',
  ]);
  const minion2 = hosts(api).get('minion2');
  assert.deepEqual(minion2?.ranges, ['10.1.0.0/16', 'fd00:10:0:0:1::/80']);
  assert.deepEqual(minion2?.addresses, ['192.168.99.10']);
  assert.deepEqual(minion2?.labels, new Map([['zone', 'a']]));
});

void test('assign follows the addresses and labels of a Node, also labels that go', async () => {
  const api = await makeApi();
  await addNode(api, 'n1', ['192.168.99.10'], { old: '1', kept: '1' });
  await settle(api);
  await api.patch(NODES, 'n1', {
    metadata: { labels: { old: null, kept: '2' } },
    status: { addresses: [{ type: 'InternalIP', address: 'fd00:99::10' }] },
  });
  await settle(api);
  assert.deepEqual(hosts(api).get('n1')?.addresses, ['fd00:99::10']);
  assert.deepEqual(hosts(api).get('n1')?.labels, new Map([['kept', '2']]));
});

void test('assign removes the Host of a Node that is gone and gives the same id when it comes back', async () => {
  const api = await makeApi();
  for (const name of ['a', 'b']) await addNode(api, name);
  await settle(api);
  await api.delete(NODES, 'a');
  await settle(api);
  assert.deepEqual([...hosts(api).keys()], ['b']);
  await addNode(api, 'c');
  await settle(api);
  await addNode(api, 'a');
  await settle(api);
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => hosts(api).get(name)?.id),
    [0, 1, 2],
  );
});

void test('assign skips host ids that reserved CIDRs take and that do not fit every family, and says what is left', async () => {
  const six = { cidr: 'fd00:10::/64', hostBits: 16, tenantBits: 16, segmentBits: 16, endpointBits: 16 };
  const reservedCIDRs = ['10.64.0.0/16', 'fd00:10:0:0:2::/80', '192.168.0.0/16'];
  const api = await makeApi({ plans: [SMALL, six], reservedCIDRs });
  for (const name of ['a', 'b', 'c']) await addNode(api, name);
  const { warnings } = await settle(api);
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => hosts(api).get(name)?.id),
    [0, 3, undefined],
  );
  assert.deepEqual(
    warnings.map(({ about, reason }) => [about.name, reason]),
    [['c', 'NoHostIds']],
  );
  const status = (api.store.all(NETWORKS)[0] as { status: { hostIdsLeft: number; reservedHostIds: string[] } }).status;
  assert.deepEqual([status.hostIdsLeft, status.reservedHostIds], [0, ['1-2']]);
});

void test('R33: assign gives the id of a machine that is gone to a Node that waits, once all agents know', async () => {
  const api = await makeApi({ plans: [SMALL] });
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) await addNode(api, name);
  for (const name of names) await api.create(HOST_REPORTS, { metadata: { name }, status: {} });
  await settle(api);
  await api.delete(NODES, 'b');
  await addNode(api, 'e');
  const waits = async (): Promise<readonly string[]> => (await settle(api)).warnings.map(({ reason }) => reason);
  assert.deepEqual(await waits(), ['NoHostIds'], 'the agent of b may still run');
  assert.deepEqual(api.releases(), []);
  await api.delete(HOST_REPORTS, 'b');
  assert.deepEqual(await waits(), ['NoHostIds'], 'the other agents may still route to b');
  const [release] = api.releases();
  assert.match(release ?? '', /^host-1\/\d+$/);
  const acknowledge = (name: string): Promise<unknown> =>
    api.patch(HOST_REPORTS, name, { status: { acknowledged: [release] } });
  for (const name of ['a', 'c']) await acknowledge(name);
  assert.deepEqual(await waits(), ['NoHostIds'], 'd has not acknowledged');
  await acknowledge('d');
  assert.deepEqual(await waits(), []);
  assert.equal(hosts(api).get('e')?.id, 1);
});

void test('R33: assign leaves an id to a machine that comes back before the id went to another', async () => {
  const api = await makeApi({ plans: [SMALL] });
  for (const name of ['a', 'b', 'c', 'd']) await addNode(api, name);
  await settle(api);
  await api.delete(NODES, 'b');
  await addNode(api, 'e');
  await settle(api);
  assert.equal(api.releases().length, 1);
  await addNode(api, 'b');
  const { warnings } = await settle(api);
  assert.equal(hosts(api).get('b')?.id, 1);
  assert.deepEqual([api.releases(), warnings.map(({ about }) => about.name)], [[], ['e']]);
});
