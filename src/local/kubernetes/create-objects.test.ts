import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../kube/client.ts';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import { NAMESPACES, NODES } from '../../objects/resources.ts';
import { createObjects } from './create-objects.ts';

const { signal } = new AbortController();

test('createObjects leaves what is there, and waits for kinds that are served later', async () => {
  const client = new FakeKubeClient();
  await client.create(NAMESPACES, { metadata: { name: 'there', labels: { old: 'yes' } } });
  let asked = 0;
  client.raw = async () => {
    asked += 1;
    if (asked < 3) throw new ApiError({ status: 404, reason: 'NotFound', message: 'no such group' });
    return { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true }] };
  };
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'there' } },
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'master' } },
    { apiVersion: 'example.org/v1', kind: 'Widget', metadata: { name: 'one', namespace: 'there' } },
  ];
  await createObjects(client, objects, signal);
  const there = (await client.get(NAMESPACES, 'there')) as { metadata: object };
  assert.deepEqual('labels' in there.metadata && there.metadata.labels, { old: 'yes' });
  assert.ok(await client.get(NODES, 'master'));
  const created = client.calls
    .filter(({ verb }) => verb === 'create')
    .map(({ resource, key }) => [resource.plural, key]);
  assert.deepEqual(created.at(-1), ['widgets', 'there/one']);
});

test('createObjects says which object the API server refused', async () => {
  const client = new FakeKubeClient();
  client.fail = ({ verb }) =>
    verb === 'create' ? new ApiError({ status: 422, reason: 'Invalid', message: 'spec is wrong' }) : undefined;
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'master' } };
  await assert.rejects(createObjects(client, [node], signal), /can't create Node master: spec is wrong/);
});
