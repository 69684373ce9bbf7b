import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrayAt, at, isObject, objectAt, textAt, type JsonObject } from './api-object.ts';
import { startServer } from './test-server.ts';

/** What every `$ref` in a document points to. */
function refs(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(refs);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => (key === '$ref' ? [String(item)] : refs(item)));
}

test('/openapi/v3 lists a document for every group version, and each is there', async (t) => {
  const { api } = await startServer(t);
  const index = await api.expect(200, 'GET', '/openapi/v3');
  const paths = objectAt(index, 'paths');
  assert.deepEqual(Object.keys(paths).toSorted(), [
    'api/v1',
    'apis/contract.romana.io/v1',
    'apis/coordination.k8s.io/v1',
    'apis/networking.k8s.io/v1',
  ]);
  for (const [path, entry] of Object.entries(paths)) {
    const document = await api.expect(200, 'GET', textAt(entry, 'serverRelativeURL'));
    const schemas = objectAt(document, 'components', 'schemas');
    for (const ref of refs(document)) assert.ok(schemas[ref.slice('#/components/schemas/'.length)], `${path}: ${ref}`);
  }
  for (const path of ['/openapi/v3/apis/other/v1', '/openapi/v2']) await api.expect(404, 'GET', path);
});

test('a PATCH path of every kind names its kind and declares fieldValidation, which kubectl apply asks for', async (t) => {
  const { api } = await startServer(t);
  const kinds: string[] = [];
  for (const path of ['/api/v1', '/apis/contract.romana.io/v1', '/apis/networking.k8s.io/v1']) {
    const document = await api.expect(200, 'GET', `/openapi/v3${path}`);
    const patches = Object.values(objectAt(document, 'paths')).flatMap((item) => at(item, 'patch') ?? []);
    for (const patch of patches as JsonObject[]) {
      const names = arrayAt(patch, 'parameters').map((parameter) => textAt(parameter, 'name'));
      assert.deepEqual(names, ['dryRun', 'fieldValidation']);
      // With strategic merge among them, kubectl would need the merge keys of all lists from the document.
      assert.deepEqual(Object.keys(objectAt(patch, 'requestBody', 'content')), ['application/merge-patch+json']);
      kinds.push(textAt(patch, 'x-kubernetes-group-version-kind', 'kind'));
    }
  }
  assert.deepEqual(kinds.toSorted(), ['Event', 'Namespace', 'NetworkPolicy', 'Node', 'Pod', 'Widget']);
});

test("the document of a custom kind has its schema, with the object's metadata", async (t) => {
  const { api } = await startServer(t);
  const document = await api.expect(200, 'GET', '/openapi/v3/apis/contract.romana.io/v1');
  const widget = objectAt(document, 'components', 'schemas', 'io.romana.contract.v1.Widget');
  assert.equal(textAt(widget, 'properties', 'spec', 'properties', 'mode', 'default'), 'fast');
  assert.deepEqual(at(widget, 'x-kubernetes-group-version-kind'), [
    { group: 'contract.romana.io', version: 'v1', kind: 'Widget' },
  ]);
});
