import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textAt } from './api-object.ts';
import { widget } from './scenes/requests.ts';
import { startServer } from './test-server.ts';

const WIDGETS = '/apis/contract.romana.io/v1/namespaces/default/widgets';
const MERGE = { type: 'application/merge-patch+json' };
const STRATEGIC = { type: 'application/strategic-merge-patch+json' };

test('fieldValidation=Strict refuses unknown fields of custom kinds by their path, in every write', async (t) => {
  const { api } = await startServer(t);
  const query = 'fieldValidation=Strict';
  const bad = widget('bad', { plans: [{ cidr: '10.0.0.0/8', foo: 1 }], bar: 2 });
  const refused = await api.refused(400, 'BadRequest', 'POST', `${WIDGETS}?${query}`, bad);
  const expected = 'strict decoding error: unknown field "spec.bar", unknown field "spec.plans[0].foo"';
  assert.ok(textAt(refused, 'message').endsWith(expected), textAt(refused, 'message'));
  await api.expect(201, 'POST', `${WIDGETS}?${query}`, widget('good'));
  const path = `${WIDGETS}/good?${query}`;
  await api.refused(422, 'Invalid', 'PATCH', path, { spec: { bar: 1 } }, MERGE);
  await api.refused(400, 'BadRequest', 'PUT', path, bad);
  await api.refused(422, 'Invalid', 'POST', `${WIDGETS}?fieldValidation=Other`, widget('other'));
});

test('fieldValidation=Warn names unknown fields in headers and drops them, Ignore is silent', async (t) => {
  const { url } = await startServer(t);
  const warning = async (name: string, query: string): Promise<string | null> => {
    const response = await fetch(`${url}${WIDGETS}${query}`, {
      method: 'POST',
      headers: { authorization: 'Bearer people', 'content-type': 'application/json' },
      body: JSON.stringify(widget(name, { bar: 1 })),
    });
    assert.equal(response.status, 201);
    assert.ok(!(await response.text()).includes('"bar"'));
    return response.headers.get('warning');
  };
  assert.equal(await warning('a', ''), '299 - "unknown field \\"spec.bar\\""');
  assert.equal(await warning('b', '?fieldValidation=Warn'), '299 - "unknown field \\"spec.bar\\""');
  assert.equal(await warning('c', '?fieldValidation=Ignore'), null);
});

test('strategic merge patches are taken for built-in kinds and get 415 for custom ones', async (t) => {
  const { api } = await startServer(t);
  const patch = { metadata: { labels: { a: 'b' } } };
  const namespace = await api.expect(200, 'PATCH', '/api/v1/namespaces/default', patch, STRATEGIC);
  assert.equal(textAt(namespace, 'metadata', 'labels', 'a'), 'b');
  const pods = '/api/v1/namespaces/default/pods';
  const containers = [{ name: 'main', image: 'one' }];
  await api.create(pods, { metadata: { name: 'p' }, spec: { containers } });
  const change = { spec: { containers: [{ name: 'main', image: 'two' }] } };
  const pod = await api.expect(200, 'PATCH', `${pods}/p`, change, STRATEGIC);
  assert.equal(textAt(pod, 'spec', 'containers', 0, 'image'), 'two');
  await api.create(WIDGETS, widget('w'));
  await api.refused(415, 'UnsupportedMediaType', 'PATCH', `${WIDGETS}/w`, patch, STRATEGIC);
});

test('JSON patches, server-side apply and protobuf get a 415 that names the type and what is taken', async (t) => {
  const { api } = await startServer(t);
  const path = '/api/v1/namespaces/default';
  for (const type of ['application/json-patch+json', 'application/apply-patch+yaml']) {
    const status = await api.refused(415, 'UnsupportedMediaType', 'PATCH', path, '[]', { type });
    assert.match(textAt(status, 'message'), new RegExp(`"${type.replace('+', '\\+')}".*strategic-merge-patch`));
  }
  const type = 'application/vnd.kubernetes.protobuf';
  const status = await api.refused(415, 'UnsupportedMediaType', 'POST', '/api/v1/namespaces', 'k8s', { type });
  assert.match(textAt(status, 'message'), /takes no protobuf: .*kubectl apply/);
});

test('port-forward and attach get a 404 that says that this server has none', async (t) => {
  const { api } = await startServer(t);
  const pods = '/api/v1/namespaces/default/pods';
  await api.create(pods, { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
  for (const name of ['portforward', 'attach']) {
    const status = await api.refused(404, 'NotFound', 'POST', `${pods}/p/${name}`);
    assert.match(textAt(status, 'message'), new RegExp(`no pods/${name}`));
  }
});
