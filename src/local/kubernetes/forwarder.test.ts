import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import { createForwarder } from './forwarder.ts';

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('createForwarder hands both directions on, and the end of one leaves the other open', async (t) => {
  // Answers when its caller has said all, as a server of HTTP/1.0 may.
  const target = createServer({ allowHalfOpen: true }, (socket) => {
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
    socket.on('end', () => socket.end(`heard ${said}`));
  });
  const to = await listen(t, target);
  const port = await listen(t, createForwarder({ host: '127.0.0.1', port: to }));
  const client = connect({ host: '127.0.0.1', port });
  let answer = '';
  client.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  client.end('this');
  await once(client, 'close');
  assert.equal(answer, 'heard this');
});

test('createForwarder ends a connection that its target refuses', async (t) => {
  const gone = createServer();
  const to = await listen(t, gone);
  gone.close();
  await once(gone, 'close');
  const port = await listen(t, createForwarder({ host: '127.0.0.1', port: to }));
  const client = connect({ host: '127.0.0.1', port });
  client.on('error', () => undefined);
  client.resume();
  await once(client, 'close');
});
