import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { generate } from 'selfsigned';
import { FakeClock } from '../lib/fake-clock.ts';
import { waitFor } from '../lib/wait-for.ts';
import { HOSTS, NAMESPACES, PODS } from '../objects/resources.ts';
import { ApiError, BadAnswerError, isGone, isNotFound, ReturnedError } from './client.ts';
import type { Connection } from './connection.ts';
import { HttpKubeClient, type HttpLimits } from './http-client.ts';
import { identityOf } from './json.ts';
import { type Answer, eventLine, json, namespaceJson, scriptedServer, statusJson, watchOf } from './scripted-server.ts';
import { fileToken, fixedToken } from './token.ts';

async function open(
  t: TestContext,
  answers: readonly Answer[],
  limits: Partial<HttpLimits> = {},
  connection: Partial<Connection> = {},
) {
  const server = await scriptedServer(...answers);
  const client = new HttpKubeClient({ server: server.url, ...connection }, limits);
  t.after(async () => {
    await client.close();
    await server.close();
  });
  return { server, client };
}

function page(resourceVersion: string, next: string, ...names: readonly string[]): Answer {
  return json({ metadata: { resourceVersion, continue: next }, items: names.map((n) => namespaceJson(n, '1')) });
}

void test('HttpKubeClient.list asks for pages until there is none left', async (t) => {
  const { server, client } = await open(t, [page('7', 'p2', 'a', 'b'), page('7', 'p3', 'c'), page('7', '', 'd')]);
  const list = await client.list(PODS, { namespace: 'ns', labelSelector: 'a=b', fieldSelector: 'spec.nodeName=n' });
  assert.equal(list.resourceVersion, '7');
  assert.deepEqual(
    list.items.map((i) => identityOf(i).name),
    ['a', 'b', 'c', 'd'],
  );
  assert.equal(server.seen[0]?.path, '/api/v1/namespaces/ns/pods');
  assert.deepEqual(
    server.seen.map((s) => s.query.get('continue')),
    [null, 'p2', 'p3'],
  );
  for (const { query } of server.seen) {
    assert.deepEqual(
      [query.get('limit'), query.get('labelSelector'), query.get('fieldSelector')],
      ['500', 'a=b', 'spec.nodeName=n'],
    );
  }
});

void test('HttpKubeClient.list keeps of each page only what is asked for, before it asks for the next', async (t) => {
  const { server, client } = await open(t, [page('7', 'p2', 'a', 'b'), page('7', '', 'c')]);
  const taken: [string, number][] = [];
  const list = await client.list(NAMESPACES, {
    each: (json) => {
      taken.push([identityOf(json).name, server.seen.length]);
      return identityOf(json).name;
    },
  });
  assert.deepEqual(taken, [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ]);
  assert.deepEqual(list.items, ['a', 'b', 'c']);
});

void test('HttpKubeClient.list begins again when the snapshot is forgotten between pages', async (t) => {
  const gone = json(statusJson(410, 'Expired', 'the continue token is too old'), 410);
  const { client } = await open(t, [page('7', 'p2', 'old'), gone, page('9', 'p2', 'a'), page('9', '', 'b')]);
  const list = await client.list(NAMESPACES);
  assert.deepEqual([list.resourceVersion, ...list.items.map((i) => identityOf(i).name)], ['9', 'a', 'b']);
});

void test('HttpKubeClient.list gives up when snapshots are forgotten again and again', async (t) => {
  const gone = json(statusJson(410, 'Expired', 'the continue token is too old'), 410);
  const { server, client } = await open(t, [gone]);
  await assert.rejects(client.list(NAMESPACES), isGone);
  assert.equal(server.seen.length, 4);
});

void test('HttpKubeClient throws the message, reason and causes of a Status', async (t) => {
  const causes = [{ reason: 'FieldValueInvalid', field: 'spec.id', message: 'must be at least 0' }];
  const status = { ...statusJson(422, 'Invalid', 'hosts "h" is invalid'), details: { name: 'h', causes } };
  const { client } = await open(t, [json(status, 422)]);
  await assert.rejects(client.create(HOSTS, { metadata: { name: 'h' } }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.reason, error.message], [422, 'Invalid', 'hosts "h" is invalid']);
    assert.deepEqual(error.details.causes, causes);
    return true;
  });
});

void test('HttpKubeClient shows the beginning of a refusal that is no Status', async (t) => {
  const { client } = await open(t, [(_seen, response) => response.writeHead(502).end('<h1>Bad gateway</h1>')]);
  await assert.rejects(client.get(HOSTS, 'h'), { status: 502, message: /GET .*\/hosts\/h: HTTP 502: <h1>Bad gateway/ });
});

void test('HttpKubeClient sends the types, paths and preconditions that the API wants', async (t) => {
  const { server, client } = await open(t, [json({})]);
  await client.create(HOSTS, { metadata: { name: 'h' } });
  await client.replace(HOSTS, { metadata: { name: 'h' }, status: {} }, { subresource: 'status' });
  await client.patch(PODS, 'p', { metadata: { labels: null } }, { namespace: 'ns' });
  await client.delete(PODS, 'p', { namespace: 'ns', uid: 'u', gracePeriodSeconds: 0 });
  assert.deepEqual(
    server.seen.map((s) => `${s.method} ${s.path} ${s.headers['content-type']}`),
    [
      'POST /apis/romana.io/v1/hosts application/json',
      'PUT /apis/romana.io/v1/hosts/h/status application/json',
      'PATCH /api/v1/namespaces/ns/pods/p application/merge-patch+json',
      'DELETE /api/v1/namespaces/ns/pods/p application/json',
    ],
  );
  assert.match(server.seen[0]?.body ?? '', /"apiVersion":"romana.io\/v1","kind":"Host"/);
  assert.match(server.seen[3]?.body ?? '', /"gracePeriodSeconds":0,"preconditions":\{"uid":"u"\}/);
});

void test('HttpKubeClient refuses to ask for a namespaced object without its namespace', async () => {
  const client = new HttpKubeClient({ server: 'http://127.0.0.1:1' });
  assert.throws(() => client.delete(PODS, 'p'), /Pod p is asked for without its namespace/);
});

void test('HttpKubeClient says which request got no answer in time', async (t) => {
  const { client } = await open(t, [() => undefined], { requestMs: 50 });
  await assert.rejects(client.get(HOSTS, 'h'), /GET http:\/\/127.*\/hosts\/h: .*(timeout|aborted)/i);
});

void test('HttpKubeClient says which server refused the connection', async () => {
  const client = new HttpKubeClient({ server: 'http://127.0.0.1:1' });
  await assert.rejects(client.get(HOSTS, 'h'), /GET http:\/\/127.0.0.1:1\/.*ECONNREFUSED/);
  await client.close();
});

void test('HttpKubeClient gives objects only, whatever else a server says is fine', async (t) => {
  for (const [answer, found] of [
    ['text', /found "text"$/],
    [null, /found null$/],
    [[namespaceJson('a', '1')], /found \[\{/],
    [['x'.repeat(1_000)], /found .{100}$/],
  ] as const) {
    const { client } = await open(t, [json(answer)]);
    const patched = client.patch(NAMESPACES, 'a', { metadata: { labels: { x: 'y' } } });
    await assert.rejects(patched, (error) => error instanceof BadAnswerError && found.test(error.message));
  }
});

void test('HttpKubeClient.watch joins lines that come in pieces, within UTF-8 characters too', async (t) => {
  const line = Buffer.from(eventLine('ADDED', namespaceJson('ä', '2')));
  const { client } = await open(t, [
    (_seen, response) => {
      response.writeHead(200);
      for (const byte of line) response.write(Buffer.of(byte));
      response.end();
    },
  ]);
  const names: string[] = [];
  for await (const event of client.watch(NAMESPACES)) names.push(identityOf(event.object).name);
  assert.deepEqual(names, ['ä']);
});

void test('HttpKubeClient.watch throws at a line longer than its bound', async (t) => {
  const { client } = await open(t, [watchOf(['x'.repeat(2_000)], 'hold')], { lineBytes: 1_000 });
  const watch = client.watch(NAMESPACES)[Symbol.asyncIterator]();
  await assert.rejects(watch.next(), BadAnswerError);
});

void test('HttpKubeClient.watch throws when the connection is cut', async (t) => {
  const { client } = await open(t, [watchOf([eventLine('ADDED', namespaceJson('a', '2'))], 'cut')]);
  const watch = client.watch(NAMESPACES)[Symbol.asyncIterator]();
  assert.equal((await watch.next()).done, false);
  await assert.rejects(watch.next(), /GET .*watch=true/);
});

void test('HttpKubeClient ends what waits for a server that was silent when it is back, and goes on with it', async (t) => {
  const { server, client } = await open(t, [watchOf([], 'hold'), () => undefined, json({})], {
    pulseMs: 10,
    pulseAnswerMs: 50,
  });
  let silent = 0;
  server.pulse = (seen, response) => {
    silent += 1;
    if (silent > 2) json({})(seen, response);
  };
  const watch = client.watch(NAMESPACES)[Symbol.asyncIterator]();
  const waiting = [watch.next(), client.get(HOSTS, 'h')];
  await Promise.all(waiting.map((each) => assert.rejects(each, ReturnedError)));
  assert.deepEqual(await client.get(HOSTS, 'h'), {});
});

void test('HttpKubeClient leaves alone what waits while the server answers, whatever it answers', async (t) => {
  const { server, client } = await open(t, [watchOf([eventLine('ADDED', namespaceJson('a', '2'))], 'hold')], {
    pulseMs: 5,
  });
  let asked = 0;
  server.pulse = (seen, response) => {
    asked += 1;
    json(statusJson(403, 'Forbidden', 'not for you'), 403)(seen, response);
  };
  const watch = client.watch(NAMESPACES)[Symbol.asyncIterator]();
  await watch.next();
  const next = watch.next();
  await waitFor('some questions', () => asked >= 5);
  await client.close();
  await assert.rejects(next, (error) => !(error instanceof ReturnedError));
});

const onlyNewToken: Answer = (seen, response) => {
  const good = seen.headers.authorization === 'Bearer new';
  json(good ? {} : statusJson(401, 'Unauthorized', 'who are you?'), good ? 200 : 401)(seen, response);
};

void test('HttpKubeClient reads the token file again when the server refuses the token', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'romana-token-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'token');
  await writeFile(path, 'old\n');
  const clock = new FakeClock();
  const { client } = await open(t, [onlyNewToken], {}, { token: fileToken(path, clock) });
  await assert.rejects(client.get(HOSTS, 'h'), { status: 401 });
  await writeFile(path, 'new\n');
  await client.get(HOSTS, 'h');
});

void test('fileToken reads the file again after a minute and keeps the token when it cannot', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'romana-token-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'token');
  await writeFile(path, 'one');
  const clock = new FakeClock();
  const token = fileToken(path, clock);
  assert.equal(await token(false), 'one');
  await writeFile(path, 'two');
  assert.equal(await token(false), 'one');
  await clock.advance(60_000);
  assert.equal(await token(false), 'two');
  await rm(path);
  assert.equal(await token(true), 'two');
});

void test('HttpKubeClient shows its certificate and takes only a server of its authority', async (t) => {
  const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const tls = { key: pems.private, cert: pems.cert, ca: pems.cert, requestCert: true, rejectUnauthorized: true };
  const server = createServer(tls, (request, response) =>
    response.end(JSON.stringify({ auth: request.headers.authorization })),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const identity = { certificate: pems.cert, key: pems.private, token: fixedToken('secret') };
  const trusting = new HttpKubeClient({ server: url, ca: pems.cert, ...identity });
  const strange = new HttpKubeClient({ server: url, ...identity });
  const anonymous = new HttpKubeClient({ server: url, ca: pems.cert });
  t.after(async () => {
    await Promise.all([trusting.close(), strange.close(), anonymous.close()]);
    server.closeAllConnections();
    server.close();
  });
  assert.deepEqual(await trusting.get(HOSTS, 'h'), { auth: 'Bearer secret' });
  await assert.rejects(strange.get(HOSTS, 'h'), /self-signed certificate/);
  await assert.rejects(anonymous.get(HOSTS, 'h'));
});

void test('HttpKubeClient.raw gives JSON as a value and all else as text', async (t) => {
  const { client } = await open(t, [json({ a: 1 }), (_seen, response) => response.end('ok'), json({}, 404)]);
  assert.deepEqual(await client.raw('GET', '/x?y=z'), { a: 1 });
  assert.equal(await client.raw('GET', '/readyz'), 'ok');
  await assert.rejects(client.raw('GET', '/none'), isNotFound);
  assert.deepEqual(
    [...client.traffic.all()].filter(({ requests }) => requests > 0),
    [{ verb: 'raw', resource: '', requests: 3, receivedBytes: 9 }],
  );
});
