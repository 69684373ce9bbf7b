import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { waitFor } from '../../lib/wait-for.ts';
import type { ContractClient } from './contract-client.ts';
import { HttpNodeProxy } from './node-proxy.ts';
import { startServer } from './test-server.ts';

const PODS = '/api/v1/namespaces/default/pods';

interface FakeNode {
  readonly port: number;
  /** What was asked for: method, URL and authorization. */
  readonly asked: string[];
}

/** A node's runtime that answers with `log` and echoes what exec gets. */
async function startNode(t: TestContext, log: (req: IncomingMessage, res: ServerResponse) => void): Promise<FakeNode> {
  const asked: string[] = [];
  const note = (req: IncomingMessage): void => void asked.push(`${req.url} ${req.headers.authorization}`);
  const server = createServer((req, res) => {
    note(req);
    log(req, res);
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    note(req);
    sockets.handleUpgrade(req, socket, head, (ws) => {
      ws.on('message', (data: Buffer) => ws.send(Buffer.concat([Buffer.from([1]), data.subarray(1)])));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

async function start(t: TestContext, node: { port: number }): Promise<{ api: ContractClient; url: string }> {
  const nodeProxy = new HttpNodeProxy({ port: node.port, token: 'parts' });
  const { api, url } = await startServer(t, { nodeProxy });
  const status = { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] };
  await api.create('/api/v1/nodes', { metadata: { name: 'n1' }, status });
  const containers = [{ name: 'main', image: 'nginx' }];
  await api.create(PODS, { metadata: { name: 'one' }, spec: { nodeName: 'n1', containers } });
  return { api, url };
}

test('the log of a pod comes from its node, with the query and the token of the parts', async (t) => {
  const node = await startNode(t, (_req, res) => res.end('a line\n'));
  const { api } = await start(t, node);
  const { text } = await api.expect(200, 'GET', `${PODS}/one/log?tailLines=3&container=main`);
  assert.equal(text, 'a line\n');
  assert.deepEqual(node.asked, ['/containerLogs/default/one/main?tailLines=3 Bearer parts']);
});

test('a followed log passes each line on as it comes, and ends on both sides', async (t) => {
  let ended = false;
  const node = await startNode(t, (_req, res) => {
    res.write('first\n');
    res.once('close', () => {
      ended = true;
    });
  });
  const { url } = await start(t, node);
  const abort = new AbortController();
  const headers = { authorization: 'Bearer people' };
  const response = await fetch(`${url}${PODS}/one/log?follow=true`, { headers, signal: abort.signal });
  const { value } = (await response.body?.getReader().read()) ?? {};
  assert.equal(Buffer.from(value ?? []).toString(), 'first\n');
  abort.abort();
  await waitFor('the node to see the end', () => ended);
});

test("what a node refuses is the client's Status, an unreachable node is 500", async (t) => {
  const status = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'no such container', code: 404 };
  const node = await startNode(t, (_req, res) => res.writeHead(404).end(JSON.stringify(status)));
  const { api } = await start(t, node);
  const refused = await api.refused(404, 'NotFound', 'GET', `${PODS}/one/log`);
  assert.equal(refused['message'], 'no such container');
  const away = await start(t, { port: 1 });
  await away.api.refused(500, 'InternalError', 'GET', `${PODS}/one/log`);
});

test('logs and exec of a wrong container, an unbound pod and without upgrade are 400', async (t) => {
  const { api } = await start(t, { port: 1 });
  await api.refused(400, 'BadRequest', 'GET', `${PODS}/one/log?container=other`);
  await api.create(PODS, {
    metadata: { name: 'two' },
    spec: {
      schedulerName: 'nobody',
      containers: [
        { name: 'a', image: 'x' },
        { name: 'b', image: 'x' },
      ],
    },
  });
  await api.refused(400, 'BadRequest', 'GET', `${PODS}/two/log`);
  await api.refused(400, 'BadRequest', 'GET', `${PODS}/two/log?container=a`);
  await api.refused(400, 'BadRequest', 'POST', `${PODS}/one/exec?command=ls`);
  await api.refused(404, 'NotFound', 'GET', `${PODS}/three/log`);
});

test('exec passes a WebSocket through to the node in both directions', async (t) => {
  const node = await startNode(t, (_req, res) => res.end());
  const { url } = await start(t, node);
  const path = `${PODS}/one/exec?command=cat&command=-n&stdin=true`;
  const ws = new WebSocket(`${url.replace('http', 'ws')}${path}`, ['v5.channel.k8s.io'], {
    headers: { authorization: 'Bearer people' },
  });
  t.after(() => ws.terminate());
  await new Promise((resolve, reject) => {
    ws.once('open', resolve);
    ws.once('error', reject);
  });
  assert.equal(ws.protocol, 'v5.channel.k8s.io');
  const answer = new Promise<Buffer>((resolve) => ws.once('message', (data: Buffer) => resolve(data)));
  const sent = Buffer.concat([Buffer.from([0]), Buffer.alloc(200_000, 'x')]);
  ws.send(sent);
  const got = await answer;
  assert.deepEqual([got[0], got.length], [1, sent.length]);
  assert.deepEqual(node.asked, ['/exec/default/one/main?command=cat&command=-n&stdin=true Bearer parts']);
});

test('exec without a token is refused before any node hears of it', async (t) => {
  const node = await startNode(t, (_req, res) => res.end());
  const { url } = await start(t, node);
  const ws = new WebSocket(`${url.replace('http', 'ws')}${PODS}/one/exec?command=ls`, ['v5.channel.k8s.io']);
  const code = await new Promise((resolve) => {
    ws.once('unexpected-response', (_req, res) => resolve(res.statusCode));
  });
  assert.equal(code, 401);
  assert.deepEqual(node.asked, []);
});
