import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textAt } from './api-object.ts';
import { type ContractClient, namesIn, versionOf } from './contract-client.ts';
import { widgetsIn } from './contract-objects.ts';
import { widget } from './scenes/requests.ts';

function token(page: object): string {
  return encodeURIComponent(textAt(page, 'metadata', 'continue'));
}

/** Declares the tests of lists. */
export function declareListContract(client: () => Promise<ContractClient>): void {
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
}
