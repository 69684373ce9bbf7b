import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { ok } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import { LEASES, NAMESPACES } from '../objects/resources.ts';
import { isConflict, isNotFound, type KubeClient, UnansweredError, type WatchEvent } from './client.ts';
import { asRecord, identityOf, keyOf } from './json.ts';
import { Reflector } from './reflector.ts';

function lease(name: string, namespace: string, labels: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace, labels },
    spec: { holderIdentity: 'nobody' },
  };
}

function holderOf(object: unknown): unknown {
  return asRecord(asRecord(object)?.['spec'])?.['holderIdentity'];
}

/** Reads events until there are `count` that are no bookmarks. */
async function take(events: AsyncIterable<WatchEvent>, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const event of events) {
    if (event.type !== 'BOOKMARK') taken.push(`${event.type} ${keyOf(identityOf(event.object))}`);
    if (taken.length === count) break;
  }
  return taken;
}

/**
 * What every API server behind a `KubeClient` does, whether in memory or over HTTP.
 *
 * @param what names the client in the tests' names.
 * @param open gives a client of a server, which others may use, too.
 */
export function clientContract(what: string, open: (t: TestContext) => Promise<KubeClient>): void {
  const withNamespace = async (t: TestContext): Promise<{ client: KubeClient; ns: string }> => {
    const client = await open(t);
    const name = `contract-${randomUUID().slice(0, 8)}`;
    await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    return { client, ns: name };
  };

  void test(`${what} stores, gives, changes and deletes an object`, async (t) => {
    const { client, ns } = await withNamespace(t);
    const made = await client.create(LEASES, lease('a', ns));
    assert.notEqual(identityOf(made).uid, '');
    assert.deepEqual(await client.get(LEASES, 'a', ns), made);
    const patch = { spec: { holderIdentity: 'me' } };
    assert.equal(holderOf(await client.patch(LEASES, 'a', patch, { namespace: ns })), 'me');
    await client.delete(LEASES, 'a', { namespace: ns });
    await assert.rejects(client.get(LEASES, 'a', ns), isNotFound);
  });

  void test(`${what} refuses what is based on an old version or made twice with 409`, async (t) => {
    const { client, ns } = await withNamespace(t);
    const made = await client.create(LEASES, lease('a', ns));
    const { resourceVersion } = identityOf(made);
    await assert.rejects(client.create(LEASES, lease('a', ns)), isConflict);
    await client.patch(LEASES, 'a', { spec: { holderIdentity: 'x' } }, { namespace: ns });
    await assert.rejects(client.replace(LEASES, made as object), isConflict);
    const stale = { metadata: { resourceVersion }, spec: { holderIdentity: 'y' } };
    await assert.rejects(client.patch(LEASES, 'a', stale, { namespace: ns }), isConflict);
    await assert.rejects(client.delete(LEASES, 'a', { namespace: ns, resourceVersion }), isConflict);
    await assert.rejects(client.delete(LEASES, 'a', { namespace: ns, uid: 'of another' }), isConflict);
    assert.equal(holderOf(await client.get(LEASES, 'a', ns)), 'x');
  });

  void test(`${what} lists by namespace and label, and watches from the version of the list`, async (t) => {
    const { client, ns } = await withNamespace(t);
    await client.create(LEASES, lease('a', ns, { color: 'red' }));
    await client.create(LEASES, lease('b', ns));
    const list = await client.list(LEASES, { namespace: ns, labelSelector: 'color=red' });
    assert.deepEqual(
      list.items.map((item) => identityOf(item).name),
      ['a'],
    );
    const { resourceVersion } = list;
    const events = take(client.watch(LEASES, { namespace: ns, labelSelector: 'color=red', resourceVersion }), 3);
    await client.patch(LEASES, 'b', { metadata: { labels: { color: 'red' } } }, { namespace: ns });
    await client.patch(LEASES, 'b', { spec: { holderIdentity: 'z' } }, { namespace: ns });
    await client.patch(LEASES, 'b', { metadata: { labels: { color: 'blue' } } }, { namespace: ns });
    assert.deepEqual(await events, [`ADDED ${ns}/b`, `MODIFIED ${ns}/b`, `DELETED ${ns}/b`]);
  });

  void test(`${what} ends a watch with the reason of its signal`, async (t) => {
    const client = await open(t);
    const abort = new AbortController();
    const { resourceVersion } = await client.list(LEASES);
    const events = take(client.watch(LEASES, { resourceVersion, signal: abort.signal }), 1);
    abort.abort(new Error('enough'));
    await assert.rejects(events, /enough/);
  });

  void test(`${what} is followed by a reflector through creation, change and deletion`, async (t) => {
    const { client, ns } = await withNamespace(t);
    await client.create(LEASES, lease('a', ns));
    const reflector = new Reflector({
      client,
      resource: LEASES,
      namespace: ns,
      parse: (json) => ok({ holder: holderOf(json) }),
      clock: systemClock,
      log: silentLog,
    });
    const stop = new AbortController();
    const stopped = reflector.start(stop.signal);
    try {
      await reflector.whenSynced(AbortSignal.timeout(5_000));
      assert.deepEqual([...reflector.store], [[`${ns}/a`, { holder: 'nobody' }]]);
      await client.create(LEASES, lease('b', ns));
      await client.patch(LEASES, 'b', { spec: { holderIdentity: 'me' } }, { namespace: ns });
      await client.delete(LEASES, 'a', { namespace: ns });
      await waitFor('the changes', () => reflector.store.size === 1 && reflector.store.has(`${ns}/b`));
      assert.deepEqual([...reflector.store], [[`${ns}/b`, { holder: 'me' }]]);
    } finally {
      stop.abort();
      await stopped;
    }
  });

  void test(`${what} is listed anew by a reflector that is ahead of it, as after a restored backup`, async (t) => {
    const { client, ns } = await withNamespace(t);
    await client.create(LEASES, lease('a', ns));
    const ahead = aheadOf(client);
    const lists: string[] = [];
    const reflector = new Reflector({
      client: ahead,
      resource: LEASES,
      namespace: ns,
      parse: (json) => ok({ holder: holderOf(json) }),
      onVersion: (by) => lists.push(by),
      log: silentLog,
    });
    const stop = new AbortController();
    const stopped = reflector.start(stop.signal);
    try {
      await waitFor('the second list', () => lists.filter((by) => by === 'list').length === 2);
      await client.create(LEASES, lease('b', ns));
      await waitFor('the change', () => reflector.store.has(`${ns}/b`));
    } finally {
      stop.abort();
      await stopped;
    }
  });
}

/** A client whose first list is of a version to come; its first watch is cut. */
function aheadOf(client: KubeClient): Pick<KubeClient, 'list' | 'version' | 'watch'> {
  let [lists, watches] = [0, 0];
  return {
    version: (resource, options) => client.version(resource, options),
    list: async (resource, options) => {
      const list = await client.list(resource, options);
      lists += 1;
      return lists > 1 ? list : { ...list, resourceVersion: String(Number(list.resourceVersion) + 1_000_000) };
    },
    watch: (resource, options) => {
      watches += 1;
      if (watches === 1) throw new UnansweredError('the connection was cut');
      return client.watch(resource, options);
    },
  };
}
