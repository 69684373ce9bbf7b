/**
 * Runs inside a network namespace and does what lines of JSON on stdin ask for: serves, connects, sends. One process
 * a namespace, so that a probe costs no start of Node. Ends with its stdin.
 */
import { createSocket } from 'node:dgram';
import { createServer, connect } from 'node:net';
import { createInterface } from 'node:readline';

type Request =
  | { readonly do: 'serve'; readonly tcp: readonly number[]; readonly udp: readonly number[] }
  | { readonly do: 'tcp'; readonly from: string; readonly to: string; readonly port: number; readonly waitMs: number }
  | {
      readonly do: 'udp';
      readonly from: string;
      readonly fromPort?: number;
      readonly to: string;
      readonly port: number;
      readonly text: string;
    }
  | { readonly do: 'heard' };

/** Datagrams that were received: `ADDRESS TEXT`. */
const heard: string[] = [];

async function answer(request: Request): Promise<string | readonly string[]> {
  if (request.do === 'heard') return heard;
  if (request.do === 'tcp') return tryTcp(request.from, request.to, request.port, request.waitMs);
  if (request.do === 'udp') {
    return sendUdp(request.from, request.fromPort ?? 0, request.to, request.port, request.text);
  }
  await Promise.all([...request.tcp.map(listenTcp), ...request.udp.map(listenUdp)]);
  return 'ready';
}

async function listenTcp(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)).listen(port, '::', resolve);
  return promise;
}

async function listenUdp(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = createSocket({ type: 'udp6' });
  socket.on('message', (text, peer) => {
    heard.push(`${peer.address.replace('::ffff:', '')} ${text.toString()}`);
    // An answer makes the connection an established one.
    socket.send(text, peer.port, peer.address);
  });
  socket.bind(port, '::', resolve);
  return promise;
}

async function tryTcp(from: string, to: string, port: number, waitMs: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host: to, port, localAddress: from });
  const timer = setTimeout(resolve, waitMs, 'time-out');
  socket.on('connect', () => resolve('open'));
  socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  const outcome = await promise;
  clearTimeout(timer);
  socket.destroy();
  return outcome;
}

async function sendUdp(from: string, fromPort: number, to: string, port: number, text: string): Promise<string> {
  const socket = createSocket(from.includes(':') ? 'udp6' : 'udp4');
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('error', (error) => resolve(error.message));
  socket.bind(fromPort, from, () => socket.send(text, port, to, (error) => resolve(error?.message ?? 'sent')));
  const outcome = await promise;
  socket.close();
  return outcome;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Request))}\n`);
}
process.exit(0);
