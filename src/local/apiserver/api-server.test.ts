import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent } from 'undici';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { createApiServer } from './api-server.ts';
import { textAt } from './api-object.ts';
import { CONTRACT_CRD } from './contract.ts';
import { ContractClient, namesIn, versionOf } from './contract-client.ts';
import { makePki } from './pki.ts';
import { widget } from './scenes/requests.ts';
import { startServer } from './test-server.ts';

const WIDGETS = '/apis/contract.romana.io/v1/namespaces/default/widgets';

test('createApiServer keeps objects, versions and the history of watches across a restart', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'romana-apiserver-'));
  t.after(() => rm(directory, { recursive: true }));
  const storage = join(directory, 'db');
  const first = await startServer(t, { storage });
  const one = await first.api.create(WIDGETS, widget('one'));
  const two = await first.api.create(WIDGETS, widget('two'));
  await first.server.close();
  const second = await startServer(t, { storage });
  const listed = await second.api.expect(200, 'GET', WIDGETS);
  assert.deepEqual([versionOf(listed), namesIn(listed)], [versionOf(two), ['one', 'two']]);
  const watch = await second.api.watch(t, `${WIDGETS}?watch=1&resourceVersion=${versionOf(one)}`);
  assert.deepEqual(await watch.take(1), ['ADDED two']);
  const three = await second.api.create(WIDGETS, widget('three'));
  assert.equal(Number(versionOf(three)), Number(versionOf(two)) + 1);
});

test('a watch, an exact list and a continue token older than the history get 410', async (t) => {
  const { api } = await startServer(t, { historyLimit: 5 });
  const first = await api.create(WIDGETS, widget('w0'));
  await api.create(WIDGETS, widget('w1'));
  const page = await api.expect(200, 'GET', `${WIDGETS}?limit=1`);
  for (let i = 2; i < 9; i++) await api.create(WIDGETS, widget(`w${i}`));
  const watch = await api.watch(t, `${WIDGETS}?watch=1&resourceVersion=${versionOf(first)}`);
  const event = await watch.next();
  assert.equal(event?.type, 'ERROR');
  assert.deepEqual([event.object['code'], event.object['reason']], [410, 'Expired']);
  assert.equal(await watch.next(), undefined);
  const token = encodeURIComponent(textAt(page, 'metadata', 'continue'));
  await api.refused(410, 'Expired', 'GET', `${WIDGETS}?limit=1&continue=${token}`);
  const exact = `resourceVersion=${versionOf(first)}&resourceVersionMatch=Exact`;
  await api.refused(410, 'Expired', 'GET', `${WIDGETS}?${exact}`);
});

test('bookmarks come after the first state and every half minute, with the latest version', async (t) => {
  const clock = new FakeClock(1_700_000_000_000);
  const { api } = await startServer(t, { clock });
  await api.create(WIDGETS, widget('one'));
  const watch = await api.watch(t, `${WIDGETS}?watch=1&allowWatchBookmarks=true`);
  assert.deepEqual([(await watch.next())?.type, (await watch.next())?.type], ['ADDED', 'BOOKMARK']);
  const other = await api.create('/api/v1/namespaces', { metadata: { name: 'other' } });
  await clock.advance(30_000);
  const bookmark = await watch.next();
  assert.deepEqual([bookmark?.type, versionOf(bookmark?.object)], ['BOOKMARK', versionOf(other)]);
});

test('a watch that asks for sendInitialEvents gets 422, so that kubectl falls back', async (t) => {
  const { api } = await startServer(t);
  await api.refused(422, 'Invalid', 'GET', `${WIDGETS}?watch=1&sendInitialEvents=true`);
});

test('a watcher that does not read is cut off, others stay', async (t) => {
  const { api, url } = await startServer(t, { watchLimits: { backlogBytes: 4 * 1024 * 1024, bookmarkMs: 30_000 } });
  const slow: Socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => slow.destroy());
  slow.pause();
  let closed = false;
  slow.once('close', () => {
    closed = true;
  });
  slow.on('error', () => undefined);
  slow.write(`GET ${WIDGETS}?watch=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer people\r\n\r\n`);
  const quick = await api.watch(t, `${WIDGETS}?watch=1`);
  // Enough to fill the buffers that the kernel has for the connection.
  const spec = { note: 'x'.repeat(1024 * 1024) };
  for (let i = 0; i < 24; i++) {
    await api.create(WIDGETS, widget(`big${i}`, spec));
    assert.deepEqual(await quick.take(1), [`ADDED big${i}`]);
  }
  slow.resume();
  await waitFor('the slow watcher to be cut off', () => closed);
});

test('ApiServer.listen takes several addresses, with TLS of makePki', async (t) => {
  const tls = await makePki({ names: ['localhost'], ips: ['127.0.0.1', '::1'] });
  const tokens = [{ token: 'people', user: 'admin' }];
  const server = createApiServer({
    storage: ':memory:',
    crds: [CONTRACT_CRD],
    tokens,
    tls,
    clock: systemClock,
    log: silentLog,
  });
  t.after(() => server.close());
  const ports = [
    (await server.listen({ host: '127.0.0.1', port: 0 })).port,
    (await server.listen({ host: '::1', port: 0 })).port,
  ];
  const dispatcher = new Agent({ connect: { ca: tls.ca } });
  t.after(() => dispatcher.destroy());
  const hosts = ['localhost', '[::1]'];
  for (const [i, port] of ports.entries()) {
    const api = new ContractClient({ url: `https://${hosts[i]}:${port}`, token: 'people', dispatcher });
    assert.deepEqual(namesIn(await api.expect(200, 'GET', '/api/v1/namespaces')), ['default', 'kube-system']);
  }
  const stranger = new ContractClient({ url: `https://127.0.0.1:${ports[0]}`, token: 'people' });
  await assert.rejects(stranger.request('GET', '/healthz'));
});

const CHILD = `
  import { createApiServer } from './api-server.ts';
  import { systemClock } from '../../lib/clock.ts';
  import { silentLog } from '../../lib/log.ts';
  const tokens = [{ token: 'people', user: 'admin' }];
  const server = createApiServer({ storage: ':memory:', crds: [], tokens, clock: systemClock, log: silentLog });
  await server.listen({ fd: 3 });
`;

test('ApiServer.listen takes a listening socket that another process opened', async (t) => {
  const opened = createServer();
  await new Promise<void>((resolve) => opened.listen(0, '127.0.0.1', resolve));
  const { port } = opened.address() as AddressInfo;
  const fd: unknown = Reflect.get(Reflect.get(opened, '_handle') as object, 'fd');
  assert.ok(typeof fd === 'number');
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'inherit', 'inherit', fd],
  });
  t.after(() => child.kill('SIGKILL'));
  opened.close();
  const api = new ContractClient({ url: `http://127.0.0.1:${port}`, token: 'people' });
  await waitFor('an answer', async () => (await api.request('GET', '/readyz')).code === 200);
});

test('createApiServer refuses a CustomResourceDefinition that it can not serve', () => {
  const options = { storage: ':memory:', tokens: [], clock: systemClock, log: silentLog };
  assert.throws(() => createApiServer({ ...options, crds: [{ kind: 'Pod' }] }), /no CustomResourceDefinition/);
  const two = structuredClone(CONTRACT_CRD);
  two.spec.versions.push({ ...structuredClone(CONTRACT_CRD.spec.versions[0]), name: 'v2' } as never);
  assert.throws(() => createApiServer({ ...options, crds: [two] }), /serves 2 versions/);
  assert.throws(() => createApiServer({ ...options, crds: [CONTRACT_CRD, CONTRACT_CRD] }), /both served/);
});

test('default and kube-system can not be deleted', async (t) => {
  const { api } = await startServer(t);
  await api.refused(403, 'Forbidden', 'DELETE', '/api/v1/namespaces/kube-system');
});
