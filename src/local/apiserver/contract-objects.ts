import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../lib/wait-for.ts';
import { at, textAt } from './api-object.ts';
import { type ContractClient, versionOf } from './contract-client.ts';
import { widget } from './scenes/requests.ts';

const MERGE = { type: 'application/merge-patch+json' };

/** Where the widgets of a namespace are. */
export function widgetsIn(namespace: string): string {
  return `/apis/contract.romana.io/v1/namespaces/${namespace}/widgets`;
}

/** Declares the tests of single objects. */
export function declareObjectContract(client: () => Promise<ContractClient>): void {
  declareCreation(client);
  declareUpdates(client);
  declareSchemas(client);
  declareDeletion(client);
  declareRefusals(client);
}

function declareCreation(client: () => Promise<ContractClient>): void {
  test('API: a new object gets uid, creationTimestamp, generation and resourceVersion', async (t) => {
    const api = await client();
    const made = await api.create(widgetsIn(await api.namespace(t)), widget('one'));
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(made.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(made.metadata.generation, 1);
    assert.match(made.metadata.resourceVersion, /^\d+$/);
  });

  test('API: generateName makes a name of its own for every object', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const names = [];
    for (let i = 0; i < 3; i++)
      names.push((await api.create(path, widget('', {}, { generateName: 'w-' }))).metadata.name);
    assert.equal(new Set(names).size, 3);
    for (const name of names) assert.match(name, /^w-[a-z0-9]{5}$/);
  });

  test('API: a namespace carries its name as a label', async (t) => {
    const api = await client();
    const name = await api.namespace(t);
    const namespace = await api.expect(200, 'GET', `/api/v1/namespaces/${name}`);
    assert.equal(textAt(namespace, 'metadata', 'labels', 'kubernetes.io/metadata.name'), name);
    assert.equal(textAt(namespace, 'status', 'phase'), 'Active');
  });

  test('API: a dry run answers like the real one and writes nothing', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.expect(201, 'POST', `${path}?dryRun=All`, widget('one'));
    await api.refused(404, 'NotFound', 'GET', `${path}/one`);
  });
}

function declareUpdates(client: () => Promise<ContractClient>): void {
  test('API: a write that changes nothing keeps the resourceVersion', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const first = await api.create(path, widget('one'));
    assert.equal(versionOf(await api.expect(200, 'PUT', `${path}/one`, first)), versionOf(first));
  });

  test('API: generation counts changes of the spec, not of labels or status', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.create(path, widget('one'));
    const patch = async (suffix: string, body: object): Promise<unknown> =>
      at(await api.expect(200, 'PATCH', `${path}/one${suffix}`, body, MERGE), 'metadata', 'generation');
    assert.equal(await patch('', { metadata: { labels: { a: 'b' } } }), 1);
    assert.equal(await patch('/status', { status: { phase: 'Good' } }), 1);
    assert.equal(await patch('', { spec: { mode: 'slow' } }), 2);
  });

  test('API: status is written through its subresource only, and nothing else is', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const made = await api.create(path, { ...widget('one'), status: { phase: 'Mine' } });
    assert.equal(made.status, undefined);
    const status = { ...made, spec: { plans: [], mode: 'slow' }, status: { phase: 'Good' } };
    const after = await api.expect(200, 'PUT', `${path}/one/status`, status);
    assert.deepEqual([at(after, 'spec', 'mode'), at(after, 'status', 'phase')], ['fast', 'Good']);
    const again = await api.expect(200, 'PUT', `${path}/one`, { ...after, status: { phase: 'Mine' } });
    assert.equal(textAt(again, 'status', 'phase'), 'Good');
  });

  test('API: a merge patch sets, replaces lists and takes away with null', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.create(path, widget('one', { plans: [{ cidr: '10.0.0.0/8' }], note: 'x', labels: { a: '1', b: '2' } }));
    const patch = { spec: { plans: [{ cidr: '11.0.0.0/8', bits: 4 }], labels: { a: null } } };
    const after = await api.expect(200, 'PATCH', `${path}/one`, patch, MERGE);
    const spec = { plans: [{ cidr: '11.0.0.0/8', bits: 4 }], note: 'x', labels: { b: '2' }, mode: 'fast' };
    assert.deepEqual(after['spec'], spec);
  });
}

function declareSchemas(client: () => Promise<ContractClient>): void {
  test('API: defaults are set, unknown fields pruned, null and int-or-string kept', async (t) => {
    const api = await client();
    const plans = [{ cidr: '10.0.0.0/8', unknown: 1 }];
    const spec = { plans, unknown: { a: 1 }, note: null, size: '5%', free: { any: [1] } };
    const made = await api.create(widgetsIn(await api.namespace(t)), widget('one', spec));
    assert.deepEqual(made.spec, {
      plans: [{ cidr: '10.0.0.0/8', bits: 8 }],
      mode: 'fast',
      note: null,
      size: '5%',
      free: { any: [1] },
    });
  });
}

function declareDeletion(client: () => Promise<ContractClient>): void {
  test('API: an object with a finalizer goes when the finalizer does', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const metadata = { finalizers: ['romana.io/held'] };
    await api.create(path, widget('one', {}, metadata));
    const marked = await api.expect(200, 'DELETE', `${path}/one`);
    assert.notEqual(textAt(marked, 'metadata', 'deletionTimestamp'), '');
    const added = { metadata: { finalizers: ['romana.io/held', 'romana.io/late'] } };
    await api.refused(422, 'Invalid', 'PATCH', `${path}/one`, added, MERGE);
    await api.expect(200, 'PATCH', `${path}/one`, { metadata: { finalizers: null } }, MERGE);
    await api.refused(404, 'NotFound', 'GET', `${path}/one`);
  });

  test('API: a deleted namespace takes its contents, and takes nothing new in', async (t) => {
    const api = await client();
    const namespace = await api.namespace(t);
    const path = widgetsIn(namespace);
    await api.create(path, widget('one'));
    await api.create(path, widget('held', {}, { finalizers: ['romana.io/held'] }));
    await api.expect(200, 'DELETE', `/api/v1/namespaces/${namespace}`);
    const status = await api.refused(403, 'Forbidden', 'POST', path, widget('two'));
    assert.equal(at(status, 'details', 'causes', 0, 'reason'), 'NamespaceTerminating');
    await waitFor('one to go', async () => (await api.request('GET', `${path}/one`)).code === 404, {
      timeoutMs: 30_000,
    });
    const still = await api.expect(200, 'GET', `/api/v1/namespaces/${namespace}`);
    assert.equal(textAt(still, 'status', 'phase'), 'Terminating');
    await waitFor('held to be marked', async () => {
      const held = await api.expect(200, 'GET', `${path}/held`);
      return textAt(held, 'metadata', 'deletionTimestamp') !== '';
    });
    await api.expect(200, 'PATCH', `${path}/held`, { metadata: { finalizers: null } }, MERGE);
    const gone = async (): Promise<boolean> =>
      (await api.request('GET', `/api/v1/namespaces/${namespace}`)).code === 404;
    await waitFor('the namespace to go', gone, { timeoutMs: 30_000 });
  });

  test('API: a collection is deleted by selector', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    for (const name of ['one', 'two']) await api.create(path, widget(name, {}, { labels: { name } }));
    await api.expect(200, 'DELETE', `${path}?labelSelector=name%3Done`);
    await api.refused(404, 'NotFound', 'GET', `${path}/one`);
    await api.expect(200, 'GET', `${path}/two`);
  });
}

function declareRefusals(client: () => Promise<ContractClient>): void {
  test('API: without a token everything but health and version is refused', async () => {
    const api = await client();
    for (const token of ['', 'wrong'])
      assert.ok([401, 403].includes((await api.request('GET', '/api/v1/namespaces', undefined, { token })).code));
    await api.refused(401, 'Unauthorized', 'GET', '/api/v1/namespaces', undefined, { token: 'wrong' });
    for (const path of ['/healthz', '/readyz', '/livez', '/version'])
      await api.expect(200, 'GET', path, undefined, { token: '' });
  });

  test('API: a body past 3 MiB is 413', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const big = widget('big', { note: 'x'.repeat(3 * 1024 * 1024) });
    await api.refused(413, 'RequestEntityTooLarge', 'POST', path, big);
  });

  test('API: discovery names kinds, short names and subresources', async () => {
    const api = await client();
    const groups = await api.expect(200, 'GET', '/apis');
    assert.ok(JSON.stringify(groups).includes('"contract.romana.io"'));
    const resources = (await api.expect(200, 'GET', '/apis/contract.romana.io/v1'))['resources'];
    assert.ok(Array.isArray(resources));
    const widgets: unknown = resources.find((r: unknown) => textAt(r, 'name') === 'widgets');
    assert.deepEqual(at(widgets, 'shortNames'), ['wd']);
    assert.equal(textAt(widgets, 'kind'), 'Widget');
    assert.ok(resources.some((r: unknown) => textAt(r, 'name') === 'widgets/status'));
  });
}
