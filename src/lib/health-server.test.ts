import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startHealthServer } from './health-server.ts';

void test('startHealthServer answers metrics, health and readiness, and nothing else', async (t) => {
  let why: string | undefined = 'waits for its Host';
  const server = await startHealthServer({
    port: 0,
    host: '127.0.0.1',
    metrics: (remote) => Promise.resolve(`romana_up 1 to ${remote}\n`),
    notReady: () => why,
  });
  t.after(() => server.close());
  const get = async (path: string, method = 'GET'): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get('/metrics'), [200, 'romana_up 1 to 127.0.0.1\n']);
  assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
  assert.deepEqual(await get('/readyz'), [503, 'waits for its Host\n']);
  why = undefined;
  assert.deepEqual(await get('/readyz?verbose'), [200, 'ok\n']);
  assert.equal((await get('/secrets'))[0], 404);
  assert.equal((await get('/metrics', 'POST'))[0], 405);
});
