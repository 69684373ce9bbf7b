import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { arrayAt, at, textAt, type JsonObject } from './api-object.ts';
import { startServer } from './test-server.ts';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const KUBECTL = `${TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json`;
const PODS = '/api/v1/namespaces/default/pods';
const CRDS = new URL('../../../deploy/crds/', import.meta.url);

function headings(table: JsonObject, wide = false): string[] {
  const shown = arrayAt(table, 'columnDefinitions').filter((column) => wide || at(column, 'priority') === 0);
  return shown.map((column) => textAt(column, 'name'));
}

function cells(table: JsonObject): unknown[] {
  return arrayAt(table, 'rows').map((row) => at(row, 'cells'));
}

function pod(name: string): JsonObject {
  return { metadata: { name }, spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'any' }] } };
}

test('a list is a Table for who prefers one, with the rows, the columns and the version of the list', async (t) => {
  const { api } = await startServer(t);
  await api.create(PODS, pod('one'));
  const table = await api.expect(200, 'GET', PODS, undefined, { accept: KUBECTL });
  assert.deepEqual([table['kind'], table['apiVersion']], ['Table', 'meta.k8s.io/v1']);
  assert.deepEqual(headings(table), ['Name', 'Ready', 'Status', 'Restarts', 'Age']);
  assert.deepEqual(headings(table, true).slice(5), ['IP', 'Node', 'Nominated Node', 'Readiness Gates']);
  const [row] = cells(table) as [unknown[]];
  assert.deepEqual(
    [...row.slice(0, 4), ...row.slice(5)],
    ['one', '0/1', 'Pending', '0', '<none>', '<none>', '<none>', '<none>'],
  );
  assert.match(String(row[4]), /^\d+s$/);
  const plain = await api.expect(200, 'GET', PODS);
  assert.equal(textAt(table, 'metadata', 'resourceVersion'), textAt(plain, 'metadata', 'resourceVersion'));
});

test('a Table is paged and selected like a list, and one object is a Table of one row', async (t) => {
  const { api } = await startServer(t);
  for (const name of ['one', 'two', 'three']) await api.create(PODS, pod(name));
  const page = await api.expect(200, 'GET', `${PODS}?limit=2`, undefined, { accept: KUBECTL });
  const next = encodeURIComponent(textAt(page, 'metadata', 'continue'));
  const rest = await api.expect(200, 'GET', `${PODS}?limit=2&continue=${next}`, undefined, { accept: KUBECTL });
  const names = [page, rest].flatMap(cells).map((row) => at(row, 0));
  assert.deepEqual(names, ['one', 'three', 'two']);
  const selector = 'fieldSelector=metadata.name%3Dtwo';
  const selected = await api.expect(200, 'GET', `${PODS}?${selector}`, undefined, { accept: KUBECTL });
  const single = await api.expect(200, 'GET', `${PODS}/two`, undefined, { accept: KUBECTL });
  for (const table of [selected, single])
    assert.deepEqual(
      cells(table).map((row) => at(row, 0)),
      ['two'],
    );
});

test('a row carries of its object what includeObject says', async (t) => {
  const { api } = await startServer(t);
  const included = async (query: string): Promise<unknown> => {
    const table = await api.expect(200, 'GET', `/api/v1/namespaces/default${query}`, undefined, { accept: TABLE });
    return at(table, 'rows', 0, 'object');
  };
  const partial = await included('');
  assert.deepEqual([textAt(partial, 'kind'), at(partial, 'spec')], ['PartialObjectMetadata', undefined]);
  assert.equal(textAt(partial, 'metadata', 'name'), 'default');
  assert.equal(textAt(await included('?includeObject=Object'), 'kind'), 'Namespace');
  assert.equal(await included('?includeObject=None'), null);
  const path = '/api/v1/namespaces/default?includeObject=Other';
  await api.refused(400, 'BadRequest', 'GET', path, undefined, { accept: TABLE });
});

test('a watch of Tables names the columns once and has a row an event', async (t) => {
  const { url, api } = await startServer(t);
  const abort = new AbortController();
  t.after(() => abort.abort());
  const response = await fetch(`${url}${PODS}?watch=true`, {
    headers: { accept: KUBECTL, authorization: 'Bearer people' },
    signal: abort.signal,
  });
  await api.create(PODS, pod('one'));
  await api.create(PODS, pod('two'));
  let text = '';
  assert.ok(response.body);
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.split('\n').length > 2) break;
  }
  const events = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonObject);
  const tables = events.map((event) => event['object'] as JsonObject);
  assert.deepEqual(
    events.map((event) => event['type']),
    ['ADDED', 'ADDED'],
  );
  assert.deepEqual(
    tables.map((table) => headings(table).length),
    [5, 0],
  );
  assert.deepEqual(
    tables.flatMap(cells).map((row) => at(row, 0)),
    ['one', 'two'],
  );
});

test('our kinds show their ids, ranges and plans in columns; a missing value is null', async (t) => {
  const crds = readdirSync(CRDS)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => parse(readFileSync(new URL(file, CRDS), 'utf8')) as unknown);
  const { api } = await startServer(t, { crds });
  const spec = { id: 3, ranges: ['10.3.0.0/16'] };
  await api.create('/apis/romana.io/v1/hosts', {
    apiVersion: 'romana.io/v1',
    kind: 'Host',
    metadata: { name: 'h' },
    spec,
  });
  const hosts = await api.expect(200, 'GET', '/apis/romana.io/v1/hosts', undefined, { accept: KUBECTL });
  assert.deepEqual(headings(hosts), ['Name', 'Id', 'Ranges', 'Addresses', 'Age']);
  assert.deepEqual((cells(hosts)[0] as unknown[]).slice(0, 4), ['h', 3, '["10.3.0.0/16"]', null]);
  for (const crd of crds) {
    const plural = textAt(crd, 'spec', 'names', 'plural');
    const path = `/apis/${textAt(crd, 'spec', 'group')}/v1/${plural}`;
    const table = await api.expect(200, 'GET', path, undefined, { accept: KUBECTL });
    assert.equal(headings(table)[0], 'Name', plural);
    assert.equal(headings(table, true).at(-1), 'Age', plural);
  }
});

test('every built-in kind is shown with the columns that Kubernetes has', async (t) => {
  const { api } = await startServer(t);
  const expected: Record<string, string[]> = {
    '/api/v1/namespaces': ['Name', 'Status', 'Age'],
    '/api/v1/nodes': ['Name', 'Status', 'Roles', 'Age', 'Version'],
    '/api/v1/events': ['Last Seen', 'Type', 'Reason', 'Object', 'Message'],
    '/apis/coordination.k8s.io/v1/leases': ['Name', 'Holder', 'Age'],
    '/apis/networking.k8s.io/v1/networkpolicies': ['Name', 'Pod-Selector', 'Age'],
  };
  for (const [path, columns] of Object.entries(expected))
    assert.deepEqual(headings(await api.expect(200, 'GET', path, undefined, { accept: KUBECTL })), columns);
});

test('who takes neither JSON nor a Table of v1, or wants a Table of a write, gets 406', async (t) => {
  const { api } = await startServer(t);
  for (const accept of [TABLE.replace('v=v1', 'v=v9'), 'application/vnd.kubernetes.protobuf'])
    await api.refused(406, 'NotAcceptable', 'GET', PODS, undefined, { accept });
  await api.refused(406, 'NotAcceptable', 'POST', PODS, pod('one'), { accept: TABLE });
});
