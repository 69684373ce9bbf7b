import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../addr/address.ts';
import type { ListOptions } from '../kube/client.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { PODS } from '../objects/resources.ts';
import type { Party, PodParty } from '../policy/party.ts';
import { PeerNames } from './peer-names.ts';

function byBits(address: string, node = 'minion2'): PodParty {
  const more = { labels: new Map<string, string>(), known: 'segment', ports: [] } as const;
  return { kind: 'pod', namespace: 'tenant-b', name: '', node, addresses: [address as Address], ...more };
}

async function setUp() {
  const store = new FakeKubeClient();
  for (const [name, nodeName, ips] of [
    ['client', 'minion2', ['10.2.32.7', 'fd00:10::2:2:0:7']],
    ['elsewhere', 'minion3', ['10.2.32.9']],
  ] as const) {
    const spec = { nodeName, containers: [{ name: 'c', image: 'i' }] };
    const status = { phase: 'Running', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'tenant-b' }, spec };
    await store.create(PODS, pod);
    await store.patch(PODS, name, { status }, { namespace: 'tenant-b', subresource: 'status' });
  }
  const asked: string[] = [];
  let answers: Promise<void> = Promise.resolve();
  const client = {
    list: async <T>(resource: typeof PODS, options: ListOptions<T> = {}) => {
      asked.push(`${options.namespace} ${options.fieldSelector}`);
      await answers;
      return store.list(resource, options);
    },
  };
  const clock = new FakeClock(1_000_000);
  const names = new PeerNames({ client, clock, signal: new AbortController().signal });
  return { names, clock, asked, answerWhen: (then: Promise<void>) => void (answers = then) };
}

test('PeerNames asks for the pods of the namespace on the node, once a minute', async () => {
  const { names, clock, asked } = await setUp();
  assert.equal(await names.nameOf(byBits('10.2.32.7')), 'tenant-b/client');
  assert.equal(await names.nameOf(byBits('10.2.32.7')), 'tenant-b/client');
  assert.equal(await names.nameOf(byBits('fd00:10::2:2:0:7')), 'tenant-b/client');
  assert.deepEqual(asked, ['tenant-b spec.nodeName=minion2', 'tenant-b spec.nodeName=minion2']);
  await clock.advance(60_000);
  await names.nameOf(byBits('10.2.32.7'));
  assert.equal(asked.length, 3);
});

test('PeerNames asks nobody about what has a name, or cannot have one', async () => {
  const { names, asked } = await setUp();
  const host: Party = { kind: 'host', name: 'minion2', labels: new Map(), addresses: [] };
  assert.equal(await names.nameOf(host), 'host minion2');
  assert.equal(await names.nameOf({ ...byBits('10.2.32.7'), name: 'known' }), 'tenant-b/known');
  assert.equal(await names.nameOf(byBits('10.2.32.7', '')), 'tenant-b/10.2.32.7');
  assert.deepEqual(asked, []);
});

test('PeerNames makes do with addresses when nobody has one, nobody answers, or too much is asked', async () => {
  const { names, clock, asked, answerWhen } = await setUp();
  assert.equal(await names.nameOf(byBits('10.2.32.8')), 'tenant-b/10.2.32.8');
  answerWhen(Promise.reject(new Error('away')));
  assert.equal(await names.nameOf(byBits('10.2.32.7')), 'tenant-b/10.2.32.7');
  const { promise, resolve } = Promise.withResolvers<void>();
  answerWhen(promise);
  const many = Array.from({ length: 10 }, (_, n) => names.nameOf(byBits(`10.2.32.${100 + n}`)));
  assert.equal(await many[9], 'tenant-b/10.2.32.109', 'without waiting');
  assert.equal(asked.length, 2 + 4, 'at once');
  resolve();
  await Promise.all(many);
  for (let n = 0; n < 50; n += 1) await names.nameOf(byBits(`10.2.33.${n}`));
  assert.equal(asked.length, 20);
  await clock.advance(3_000);
  for (let n = 0; n < 50; n += 1) await names.nameOf(byBits(`10.2.34.${n}`));
  assert.equal(asked.length, 23);
});
