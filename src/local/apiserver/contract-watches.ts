import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContractClient, versionOf } from './contract-client.ts';
import { widgetsIn } from './contract-objects.ts';
import { widget } from './scenes/requests.ts';

const MERGE = { type: 'application/merge-patch+json' };

/** Declares the tests of watches. */
export function declareWatchContract(client: () => Promise<ContractClient>): void {
  test('API: a watch from the version of a list misses nothing and repeats nothing', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.create(path, widget('before'));
    const listed = await api.expect(200, 'GET', path);
    await api.create(path, widget('one'));
    const watch = await api.watch(t, `${path}?watch=true&resourceVersion=${versionOf(listed)}`);
    assert.deepEqual(await watch.take(1), ['ADDED one']);
    await api.expect(200, 'PATCH', `${path}/one`, { spec: { mode: 'slow' } }, MERGE);
    await api.expect(200, 'DELETE', `${path}/before`);
    assert.deepEqual(await watch.take(2), ['MODIFIED one', 'DELETED before']);
  });

  test('API: a watch without version begins with what there is', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.create(path, widget('one'));
    const watch = await api.watch(t, `${path}?watch=1`);
    assert.deepEqual(await watch.take(1), ['ADDED one']);
    await api.create(path, widget('two'));
    assert.deepEqual(await watch.take(1), ['ADDED two']);
  });

  test('API: versions in a watch rise, and a deletion has the version of the deletion', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const made = await api.create(path, widget('one'));
    const watch = await api.watch(t, `${path}?watch=1&resourceVersion=${versionOf(made)}`);
    await api.expect(200, 'PATCH', `${path}/one`, { spec: { mode: 'slow' } }, MERGE);
    await api.expect(200, 'DELETE', `${path}/one`);
    const [changed, gone] = [await watch.next(), await watch.next()];
    assert.equal(gone?.type, 'DELETED');
    const versions = [made, changed?.object, gone.object].map((object) => Number(versionOf(object)));
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(versions).size, 3);
  });

  test('API: objects that enter or leave a label selector are seen as ADDED and DELETED', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const made = await api.create(path, widget('one'));
    const watch = await api.watch(t, `${path}?watch=1&resourceVersion=${versionOf(made)}&labelSelector=tier%3Dfront`);
    const label = (tier: string | null, more: object = {}): Promise<unknown> =>
      api.expect(200, 'PATCH', `${path}/one`, { metadata: { labels: { tier } }, ...more }, MERGE);
    await label('front');
    await label('front', { spec: { mode: 'slow' } });
    await label('back');
    await label('front');
    await api.expect(200, 'DELETE', `${path}/one`);
    assert.deepEqual(await watch.take(5), ['ADDED one', 'MODIFIED one', 'DELETED one', 'ADDED one', 'DELETED one']);
  });

  test('API: an object that leaves a selector is shown as it was, under the version at which it left', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const made = await api.create(path, widget('one', {}, { labels: { a: 'b' } }));
    const watch = await api.watch(t, `${path}?watch=1&resourceVersion=${versionOf(made)}&labelSelector=a%3Db`);
    const left = await api.expect(200, 'PATCH', `${path}/one`, { metadata: { labels: { a: 'c' } } }, MERGE);
    const event = await watch.next();
    assert.equal(event?.type, 'DELETED');
    assert.deepEqual([event.object.metadata.labels, versionOf(event.object)], [{ a: 'b' }, versionOf(left)]);
  });

  test('API: a watch over all namespaces sees each of them, one of a namespace only its own', async (t) => {
    const api = await client();
    const [here, there] = [await api.namespace(t), await api.namespace(t)];
    const listed = versionOf(await api.expect(200, 'GET', '/apis/contract.romana.io/v1/widgets'));
    await api.create(widgetsIn(there), widget('two'));
    await api.create(widgetsIn(here), widget('one'));
    const all = await api.watch(t, `/apis/contract.romana.io/v1/widgets?watch=1&resourceVersion=${listed}`);
    assert.deepEqual(await all.take(2), ['ADDED two', 'ADDED one']);
    const own = await api.watch(t, `${widgetsIn(here)}?watch=1&resourceVersion=${listed}`);
    assert.deepEqual(await own.take(1), ['ADDED one']);
  });

  test('API: timeoutSeconds ends a watch', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const watch = await api.watch(t, `${path}?watch=1&timeoutSeconds=1`);
    assert.equal(await watch.next(), undefined);
  });
}
