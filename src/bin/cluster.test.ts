import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { knownPlans } from './cluster.ts';

void test('knownPlans gives a cluster up that takes connections and says nothing, after a second', async (t) => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const folder = mkdtempSync(join(tmpdir(), 'rt-cluster-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config');
  writeFileSync(
    file,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${(server.address() as AddressInfo).port}` } }],
      users: [{ name: 'c', user: { token: 'x' } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
      'current-context': 'c',
    }),
  );
  const start = performance.now();
  assert.deepEqual(await knownPlans({ kubeconfig: file }), { ok: true, value: undefined });
  assert.ok(performance.now() - start < 1_400, 'without the limit of its own it takes 1.6 s');
});

void test('knownPlans says when the cluster that was asked for is not there', async () => {
  const found = await knownPlans({ name: `rt-${process.pid}-none` });
  assert.match(found.ok ? '' : found.error, /no local cluster is named/);
});
