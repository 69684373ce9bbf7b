import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../lib/wait-for.ts';
import { at, textAt } from './api-object.ts';
import { blamed, type ContractClient, versionOf } from './contract-client.ts';

const MERGE = { type: 'application/merge-patch+json' };

/** Where the widgets of a namespace are. */
export function widgetsIn(namespace: string): string {
  return `/apis/contract.romana.io/v1/namespaces/${namespace}/widgets`;
}

/** A widget that is right, with more spec fields. */
export function widget(name: string, spec: object = {}): object {
  return { apiVersion: 'contract.romana.io/v1', kind: 'Widget', metadata: { name }, spec: { plans: [], ...spec } };
}

function policy(ingress: object): object {
  return { metadata: { name: 'p' }, spec: { podSelector: {}, ingress: [ingress] } };
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
      names.push((await api.create(path, { metadata: { generateName: 'w-' }, spec: { plans: [] } })).metadata.name);
    assert.equal(new Set(names).size, 3);
    for (const name of names) assert.match(name, /^w-[a-z0-9]{5}$/);
  });

  test('API: a second object of a name is 409 AlreadyExists', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.create(path, widget('one'));
    const status = await api.refused(409, 'AlreadyExists', 'POST', path, widget('one'));
    assert.equal(status['message'], 'widgets.contract.romana.io "one" already exists');
  });

  test('API: creation in a namespace that is not there is 404', async () => {
    const api = await client();
    const status = await api.refused(404, 'NotFound', 'POST', widgetsIn('contract-nowhere'), widget('one'));
    assert.equal(status['message'], 'namespaces "contract-nowhere" not found');
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
  test('API: a replacement with an old resourceVersion is 409 Conflict', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const first = await api.create(path, widget('one'));
    const second = await api.expect(200, 'PUT', `${path}/one`, { ...first, spec: { plans: [], mode: 'slow' } });
    assert.ok(Number(versionOf(second)) > Number(versionOf(first)));
    await api.refused(409, 'Conflict', 'PUT', `${path}/one`, { ...first, spec: { plans: [] } });
  });

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

  test('API: a merge patch with an old resourceVersion is 409 Conflict', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const first = await api.create(path, widget('one'));
    await api.expect(200, 'PATCH', `${path}/one`, { spec: { mode: 'slow' } }, MERGE);
    const patch = { metadata: { resourceVersion: versionOf(first) }, spec: { mode: 'fast' } };
    await api.refused(409, 'Conflict', 'PATCH', `${path}/one`, patch, MERGE);
  });
}

function declareSchemas(client: () => Promise<ContractClient>): void {
  test('API: what breaks a schema is 422 with the path of each field', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const cases: [object, string[]][] = [
      [{ plans: [{ cidr: 'nonsense' }] }, ['spec.plans[0].cidr']],
      [{ plans: [{ cidr: '10.0.0.0/8' }, { bits: 3 }] }, ['spec.plans[1].cidr']],
      [{ plans: [{ cidr: '10.0.0.0/8', bits: 31 }] }, ['spec.plans[0].bits']],
      [{ mode: 'wild' }, ['spec.mode']],
      [{ note: 7 }, ['spec.note']],
    ];
    for (const [spec, fields] of cases) {
      const status = await api.refused(422, 'Invalid', 'POST', path, widget('bad', spec));
      assert.deepEqual(blamed(status), fields);
    }
  });

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

  test('API: bad names and labels are 422', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    assert.deepEqual(blamed(await api.refused(422, 'Invalid', 'POST', path, widget('Bad_Name'))), ['metadata.name']);
    const labels = { metadata: { name: 'a', labels: { 'a b': 'c' } }, spec: { plans: [] } };
    assert.deepEqual(blamed(await api.refused(422, 'Invalid', 'POST', path, labels)), ['metadata.labels']);
  });

  test('API: a NetworkPolicy of a wrong shape is 422', async (t) => {
    const api = await client();
    const path = `/apis/networking.k8s.io/v1/namespaces/${await api.namespace(t)}/networkpolicies`;
    const cases: [object, string][] = [
      [{ from: [{}] }, 'spec.ingress[0].from[0]'],
      [{ from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }, 'spec.ingress[0].from[0].ipBlock.cidr'],
      [{ ports: [{ port: 70_000 }] }, 'spec.ingress[0].ports[0].port'],
      [{ ports: [{ port: 80, endPort: 79 }] }, 'spec.ingress[0].ports[0].endPort'],
    ];
    for (const [ingress, field] of cases)
      assert.deepEqual(blamed(await api.refused(422, 'Invalid', 'POST', path, policy(ingress))), [field]);
    const made = await api.create(path, policy({ ports: [{ port: 80 }] }));
    assert.deepEqual(at(made, 'spec', 'policyTypes'), ['Ingress']);
    assert.equal(at(made, 'spec', 'ingress', 0, 'ports', 0, 'protocol'), 'TCP');
  });
}

function declareDeletion(client: () => Promise<ContractClient>): void {
  test('API: deletion takes preconditions, and answers 404 the second time', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const made = await api.create(path, widget('one'));
    const wrong = { preconditions: { uid: '00000000-0000-0000-0000-000000000000' } };
    await api.refused(409, 'Conflict', 'DELETE', `${path}/one`, wrong);
    await api.refused(409, 'Conflict', 'DELETE', `${path}/one`, { preconditions: { resourceVersion: '1' } });
    const status = await api.expect(200, 'DELETE', `${path}/one`, { preconditions: { uid: made.metadata.uid } });
    assert.equal(status['status'], 'Success');
    await api.refused(404, 'NotFound', 'DELETE', `${path}/one`);
  });

  test('API: an object with a finalizer goes when the finalizer does', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const metadata = { name: 'one', finalizers: ['romana.io/held'] };
    await api.create(path, { metadata, spec: { plans: [] } });
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
    await api.create(path, { metadata: { name: 'held', finalizers: ['romana.io/held'] }, spec: { plans: [] } });
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
    for (const name of ['one', 'two'])
      await api.create(path, { metadata: { name, labels: { name } }, spec: { plans: [] } });
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

  test('API: what is not there, not read or not written is said by a Status', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.expect(404, 'GET', '/apis/nothing.romana.io/v1/things');
    await api.refused(404, 'NotFound', 'GET', `${path}/none`);
    await api.refused(415, 'UnsupportedMediaType', 'POST', path, '<a/>', { type: 'text/xml' });
    await api.create(path, widget('one'));
    await api.refused(415, 'UnsupportedMediaType', 'PATCH', `${path}/one`, '{}', { type: 'application/x-other' });
    await api.refused(400, 'BadRequest', 'POST', path, '{"half":');
    await api.refused(400, 'BadRequest', 'POST', path, { ...widget('two'), kind: 'Gadget' });
    await api.refused(400, 'BadRequest', 'PUT', `${path}/one`, widget('other'));
    await api.refused(406, 'NotAcceptable', 'GET', path, undefined, { accept: 'text/xml' });
    await api.refused(405, 'MethodNotAllowed', 'PUT', path, widget('one'));
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
