import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Connection } from './connection.ts';
import { execInPod, exitCodeOf } from './exec.ts';
import { HttpKubeClient } from './http-client.ts';
import { podLogs } from './logs.ts';
import { scriptedServer, statusJson } from './scripted-server.ts';
import { fixedToken } from './token.ts';

const EXIT_3 = {
  status: 'Failure',
  reason: 'NonZeroExitCode',
  message: 'command terminated with exit code 3',
  details: { causes: [{ reason: 'ExitCode', message: '3' }] },
};

interface ExecServer {
  readonly connection: Connection;
  /** The URLs that were asked for. */
  readonly urls: string[];
}

/** An exec server that does with each connection as the test says. */
async function execServer(t: TestContext, serve: (socket: WebSocket) => void): Promise<ExecServer> {
  const server = createServer((_request, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
  const urls: string[] = [];
  server.on('upgrade', (request, socket, head) => {
    urls.push(request.url ?? '');
    if (request.headers.authorization !== 'Bearer me') {
      const body = JSON.stringify(statusJson(403, 'Forbidden', 'not for you'));
      socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, serve);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { connection: { server: `http://127.0.0.1:${port}`, token: fixedToken('me') }, urls };
}

function frame(channel: number, text: string): Buffer {
  return Buffer.concat([Buffer.of(channel), Buffer.from(text)]);
}

const POD = { namespace: 'ns', pod: 'p' };

void test('execInPod collects both outputs and gives the exit status', async (t) => {
  const { connection, urls } = await execServer(t, (socket) => {
    socket.send(frame(1, 'out'));
    socket.send(frame(2, 'complaint'));
    socket.send(frame(1, 'put'));
    socket.send(frame(3, JSON.stringify(EXIT_3)));
    socket.close(1000);
  });
  const result = await execInPod(connection, { ...POD, container: 'c', command: ['sh', '-c', 'x y'] });
  assert.deepEqual(result, { exitCode: 3, stdout: 'output', stderr: 'complaint' });
  const query = 'stdout=true&stderr=true&container=c&command=sh&command=-c&command=x+y';
  assert.deepEqual(urls, [`/api/v1/namespaces/ns/pods/p/exec?${query}`]);
});

async function* words(): AsyncGenerator<string> {
  yield 'one ';
  yield 'two';
}

void test('execInPod sends standard input and its end', async (t) => {
  const { connection } = await execServer(t, (socket) => {
    let input = '';
    socket.on('message', (data: Buffer) => {
      if (data[0] === 0) input += data.toString('utf8', 1);
      if (data[0] !== 255 || data[1] !== 0) return;
      socket.send(frame(1, input.toUpperCase()));
      socket.send(frame(3, JSON.stringify({ status: 'Success' })));
    });
  });
  const result = await execInPod(connection, { ...POD, command: ['cat'], stdin: words() });
  assert.deepEqual(result, { exitCode: 0, stdout: 'ONE TWO', stderr: '' });
});

void test('execInPod hands outputs on and tells the size of the terminal', async (t) => {
  const { connection, urls } = await execServer(t, (socket) => {
    socket.on('message', (data: Buffer) => {
      if (data[0] !== 4) return;
      socket.send(frame(1, data.toString('utf8', 1)));
      socket.send(frame(3, JSON.stringify({ status: 'Success' })));
    });
  });
  const chunks: string[] = [];
  const onStdout = (chunk: Buffer): void => void chunks.push(chunk.toString());
  const tty = { size: { width: 80, height: 24 } };
  const result = await execInPod(connection, { ...POD, command: ['sh'], tty, onStdout });
  assert.deepEqual([result.stdout, chunks.join('')], ['', '{"Width":80,"Height":24}']);
  assert.match(urls[0] ?? '', /stderr=false&tty=true/);
});

void test('execInPod throws the Status of a refusal', async (t) => {
  const { connection } = await execServer(t, () => undefined);
  const stranger = { ...connection, token: fixedToken('somebody') };
  await assert.rejects(execInPod(stranger, { ...POD, command: ['true'] }), { status: 403, message: 'not for you' });
});

void test('execInPod throws when the connection ends before the command', async (t) => {
  const { connection } = await execServer(t, (socket) => socket.close(1011));
  await assert.rejects(execInPod(connection, { ...POD, command: ['true'] }), /exec in ns\/p: .*ended \(1011\)/);
});

void test('execInPod ends with the reason of its signal', async (t) => {
  const { connection } = await execServer(t, (socket) => socket.send(frame(1, 'x')));
  const abort = new AbortController();
  const onStdout = (): void => abort.abort(new Error('enough'));
  const running = execInPod(connection, { ...POD, command: ['sleep'], onStdout, signal: abort.signal });
  await assert.rejects(running, /enough/);
});

void test('exitCodeOf throws what kept a command from running', () => {
  assert.equal(exitCodeOf({ status: 'Success' }), 0);
  assert.equal(exitCodeOf(EXIT_3), 3);
  const failure = { status: 'Failure', reason: 'InternalError', message: 'no such file: nope', code: 500 };
  assert.throws(() => exitCodeOf(failure), { status: 500, message: 'no such file: nope' });
});

void test('podLogs streams the log that was asked for', async (t) => {
  const server = await scriptedServer((_seen, response) => response.end('one\ntwo\n'));
  const client = new HttpKubeClient({ server: server.url });
  t.after(async () => {
    await client.close();
    await server.close();
  });
  let text = '';
  for await (const chunk of podLogs(client, { ...POD, follow: true, tailLines: 2 }))
    text += Buffer.from(chunk).toString();
  assert.equal(text, 'one\ntwo\n');
  assert.equal(server.seen[0]?.path, '/api/v1/namespaces/ns/pods/p/log');
  assert.equal(server.seen[0]?.query.toString(), 'follow=true&tailLines=2');
});
