import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textAt } from './api-object.ts';
import { type ContractClient, namesIn, versionOf } from './contract-client.ts';
import { widget, widgetsIn } from './contract-objects.ts';

function token(page: object): string {
  return encodeURIComponent(textAt(page, 'metadata', 'continue'));
}

/** Declares the tests of lists. */
export function declareListContract(client: () => Promise<ContractClient>): void {
  test('API: a list can be narrowed by labels and fields', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    const make = (name: string, labels: object): Promise<unknown> =>
      api.create(path, { metadata: { name, labels }, spec: { plans: [] } });
    await make('a', { tier: 'front', zone: '1' });
    await make('b', { tier: 'back' });
    await make('c', {});
    const listed = async (query: Record<string, string>): Promise<string> =>
      namesIn(await api.expect(200, 'GET', `${path}?${new URLSearchParams(query).toString()}`)).join();
    assert.equal(await listed({ labelSelector: 'tier=front' }), 'a');
    assert.equal(await listed({ labelSelector: 'tier!=front' }), 'b,c');
    assert.equal(await listed({ labelSelector: 'tier in (front,back),!zone' }), 'b');
    assert.equal(await listed({ labelSelector: 'tier' }), 'a,b');
    assert.equal(await listed({ fieldSelector: 'metadata.name=c' }), 'c');
    assert.equal(await listed({ fieldSelector: 'metadata.name!=c' }), 'a,b');
    await api.refused(400, 'BadRequest', 'GET', `${path}?fieldSelector=spec.mode%3Dfast`);
    await api.refused(400, 'BadRequest', 'GET', `${path}?labelSelector=${encodeURIComponent('a in')}`);
  });

  test('API: pages of a list show the state of the first one', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    for (const name of ['a', 'b', 'c', 'd', 'e']) await api.create(path, widget(name));
    const first = await api.expect(200, 'GET', `${path}?limit=2`);
    await api.expect(200, 'DELETE', `${path}/d`);
    await api.create(path, widget('bb'));
    await api.create(path, widget('cc'));
    const second = await api.expect(200, 'GET', `${path}?limit=2&continue=${token(first)}`);
    const third = await api.expect(200, 'GET', `${path}?limit=2&continue=${token(second)}`);
    assert.deepEqual([first, second, third].map(namesIn), [['a', 'b'], ['c', 'd'], ['e']]);
    assert.deepEqual([versionOf(second), versionOf(third), token(third)], [versionOf(first), versionOf(first), '']);
    assert.deepEqual(namesIn(await api.expect(200, 'GET', path)), ['a', 'b', 'bb', 'c', 'cc', 'e']);
  });

  test('API: a continue token that is none is 400', async (t) => {
    const api = await client();
    const path = widgetsIn(await api.namespace(t));
    await api.refused(400, 'BadRequest', 'GET', `${path}?limit=2&continue=nonsense`);
  });
}
