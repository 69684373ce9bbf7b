import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../lib/log.ts';
import { ok } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import { HOSTS, NAMESPACES } from '../objects/resources.ts';
import { clientContract } from './client-contract.ts';
import { FakeKubeClient } from './fake-client.ts';
import { asRecord, identityOf } from './json.ts';
import { Reflector } from './reflector.ts';

clientContract('FakeKubeClient', async () => new FakeKubeClient());

void test('FakeKubeClient changes only the status of an object through its status subresource', async () => {
  const client = new FakeKubeClient();
  await client.create(HOSTS, { metadata: { name: 'h' }, spec: { id: 1 } });
  const body = { metadata: { name: 'h' }, spec: { id: 2 }, status: { exceptions: [] } };
  await client.replace(HOSTS, body, { subresource: 'status' });
  const stored = asRecord(await client.get(HOSTS, 'h'));
  assert.deepEqual([stored?.['spec'], stored?.['status']], [{ id: 1 }, { exceptions: [] }]);
});

void test('FakeKubeClient keeps a deleted object until its last finalizer is gone', async () => {
  const client = new FakeKubeClient();
  await client.create(HOSTS, { metadata: { name: 'h', finalizers: ['romana.io/ids'] } });
  await client.delete(HOSTS, 'h');
  const { metadata } = asRecord(await client.get(HOSTS, 'h')) ?? {};
  assert.equal(typeof asRecord(metadata)?.['deletionTimestamp'], 'string');
  await client.patch(HOSTS, 'h', { metadata: { finalizers: null } });
  assert.deepEqual((await client.list(HOSTS)).items, []);
});

void test('FakeKubeClient makes calls fail as a test asks', async () => {
  const client = new FakeKubeClient();
  client.fail = (call) => (call.verb === 'create' && call.resource === HOSTS ? new Error('out of paper') : undefined);
  await assert.rejects(client.create(HOSTS, { metadata: { name: 'h' } }), /out of paper/);
  await client.create(NAMESPACES, { metadata: { name: 'n' } });
  assert.deepEqual(
    client.calls.map((c) => `${c.verb} ${c.resource.plural} ${c.key}`),
    ['create hosts h', 'create namespaces n'],
  );
});

void test('FakeKubeClient is followed by a reflector through cut watches and forgotten versions', async (t) => {
  const client = new FakeKubeClient();
  await client.create(NAMESPACES, { metadata: { name: 'a' } });
  const stop = new AbortController();
  const reflector = new Reflector({
    client,
    resource: NAMESPACES,
    parse: (json) => ok(identityOf(json)),
    log: silentLog,
  });
  const stopped = reflector.start(stop.signal);
  t.after(async () => {
    stop.abort();
    await stopped;
  });
  await reflector.whenSynced();
  client.cutWatches();
  await client.create(NAMESPACES, { metadata: { name: 'b' } });
  await client.delete(NAMESPACES, 'a');
  client.store.compact();
  await waitFor('the change behind the cut', () => reflector.store.has('b') && !reflector.store.has('a'));
  assert.equal(client.calls.filter((c) => c.verb === 'list').length, 2);
});
