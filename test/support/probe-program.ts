// What `Probe` (probe.ts) runs in a network namespace: one JSON request a line on stdin, one JSON answer a line on
// stdout. It ends with its stdin.
import dgram from 'node:dgram';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { setImmediate as untilPolled } from 'node:timers/promises';
import type { Answer, Reach, Request, StreamCounts } from './probe.ts';
import { ProbeStream } from './probe-stream.ts';

type ConnectRequest = Extract<Request, { do: 'tcp' | 'open' }>;
type UdpRequest = Extract<Request, { do: 'udp' }>;

const UDP_BURST = 64;
/** One is under way when it is asked for; of a socket that has many datagrams a poll reads some (libuv: 32). */
const POLLS = 4;

const servers = new Map<string, { received: Map<string, number>; close: () => Promise<void> }>();
const connections = new Map<number, net.Socket>();
const floods = new Map<number, () => number>();
const streams = new Map<number, ProbeStream>();
/** The attempts under way, by what ends them as if their time were over, with their group. */
const attempts = new Map<() => void, string | undefined>();
let handles = 0;

const UNREACHABLE = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EACCES', 'EPERM', 'EADDRNOTAVAIL']);

function reachOf(error: NodeJS.ErrnoException): Reach {
  if (error.code === 'ECONNREFUSED') return 'refused';
  if (error.code === 'ETIMEDOUT') return 'timeout';
  if (UNREACHABLE.has(error.code ?? '')) return 'unreachable';
  throw error;
}

function count(received: Map<string, number>, source: string | undefined): void {
  const key = (source ?? '').replace(/^::ffff:/, '');
  received.set(key, (received.get(key) ?? 0) + 1);
}

function listenTcp(address: string, port: number): Promise<number> {
  const received = new Map<string, number>();
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    count(received, socket.remoteAddress);
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.pipe(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => {
      const bound = (server.address() as net.AddressInfo).port;
      const close = (): Promise<void> => {
        for (const socket of sockets) socket.destroy();
        return new Promise((done) => server.close(() => done()));
      };
      servers.set(`tcp ${bound}`, { received, close });
      resolve(bound);
    });
  });
}

function listenUdp(address: string, port: number): Promise<number> {
  const received = new Map<string, number>();
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (data, from) => {
    count(received, from.address);
    socket.send(data, from.port, from.address, () => undefined);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      const bound = socket.address().port;
      servers.set(`udp ${bound}`, { received, close: () => new Promise((done) => socket.close(() => done())) });
      resolve(bound);
    });
  });
}

/** Calls `giveUp` after the time, or when the group is given up, unless the result is called before. */
function attempt({ timeoutMs, group }: ConnectRequest | UdpRequest, giveUp: () => void): () => void {
  const end = (): void => {
    stop();
    giveUp();
  };
  const timer = setTimeout(end, timeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
    attempts.delete(end);
  };
  attempts.set(end, group);
  return stop;
}

function connect(request: ConnectRequest): Promise<net.Socket | Reach> {
  const { address, port, source } = request;
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port, ...(source === undefined ? {} : { localAddress: source }) });
    const stop = attempt(request, () => {
      socket.destroy();
      resolve('timeout');
    });
    socket.once('connect', () => {
      stop();
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
    socket.once('error', (error) => {
      stop();
      try {
        resolve(reachOf(error));
      } catch (unexpected) {
        reject(unexpected);
      }
    });
  });
}

async function tcp(request: ConnectRequest): Promise<Reach> {
  const result = await connect(request);
  if (typeof result === 'string') return result;
  // A reset leaves nothing behind in TIME_WAIT, so that the same test can be run thousands of times.
  result.resetAndDestroy();
  return 'open';
}

async function openTcp(request: ConnectRequest): Promise<number> {
  const result = await connect(request);
  if (typeof result === 'string') throw new Error(`no connection with ${request.address} ${request.port}: ${result}`);
  handles += 1;
  connections.set(handles, result);
  return handles;
}

function exchange({ handle, text, timeoutMs }: Extract<Request, { do: 'exchange' }>): Promise<boolean> {
  const socket = connections.get(handle);
  if (socket === undefined) throw new Error(`there is no connection ${handle}`);
  return new Promise((resolve) => {
    let seen = '';
    const finish = (arrived: boolean): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      resolve(arrived);
    };
    const onData = (data: Buffer): void => {
      seen += data.toString();
      if (seen.endsWith(text)) finish(true);
    };
    const onClose = (): void => finish(false);
    const timer = setTimeout(onClose, timeoutMs);
    socket.on('data', onData).on('close', onClose);
    socket.write(text, () => undefined);
  });
}

function udp(request: UdpRequest): Promise<Reach> {
  const { address, port, source, sourcePort = 0, text } = request;
  // Of its own family alone, so that both can have one source port at once.
  const socket = dgram.createSocket(address.includes(':') ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
  return new Promise<Reach>((resolve, reject) => {
    const stop = attempt(request, () => resolve('timeout'));
    socket.once('message', () => resolve('open'));
    socket.on('error', (error) => {
      try {
        resolve(reachOf(error));
      } catch (unexpected) {
        reject(unexpected);
      }
    });
    socket.once('close', stop);
    socket.bind(sourcePort, source, () => {
      // Connected, so that an ICMP error comes back as an error.
      socket.once('connect', () => {
        socket.send(text, (error) => {
          if (error !== null) socket.emit('error', error);
        });
      });
      socket.connect(port, address);
    });
  }).finally(() => socket.close());
}

function flood({ address, port, source }: Extract<Request, { do: 'flood' }>): Promise<number> {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => undefined);
  handles += 1;
  const handle = handles;
  let sent = 0;
  let stopped = false;
  const burst = (): void => {
    if (stopped) return;
    let waiting = UDP_BURST;
    const done = (error: Error | null): void => {
      if (error === null) sent += 1;
      waiting -= 1;
      if (waiting === 0) setImmediate(burst);
    };
    for (let index = 0; index < UDP_BURST; index += 1) socket.send('flood', port, address, done);
  };
  floods.set(handle, () => {
    stopped = true;
    setImmediate(() => socket.close());
    return sent;
  });
  return new Promise((resolve) => {
    socket.bind(0, source, () => {
      burst();
      resolve(handle);
    });
  });
}

function received({ protocol, port }: Extract<Request, { do: 'received' | 'stopListening' }>): unknown {
  const server = servers.get(`${protocol} ${port}`);
  if (server === undefined) throw new Error(`nothing listens on ${protocol} ${port}`);
  return Object.fromEntries(server.received);
}

async function stopListening({
  protocol,
  port,
}: Extract<Request, { do: 'received' | 'stopListening' }>): Promise<void> {
  await servers.get(`${protocol} ${port}`)?.close();
  servers.delete(`${protocol} ${port}`);
}

function stopFlood(handle: number): number {
  const sent = floods.get(handle)?.() ?? 0;
  floods.delete(handle);
  return sent;
}

function stream(request: Extract<Request, { do: 'stream' }>): number {
  handles += 1;
  streams.set(handles, new ProbeStream(request));
  return handles;
}

async function stopStream(handle: number): Promise<StreamCounts | undefined> {
  const counts = await streams.get(handle)?.stop();
  streams.delete(handle);
  return counts;
}

function giveUp(group: string): void {
  for (const [end, its] of attempts) if (its === group) end();
}

/** Between two of these the program has asked for all sockets that are ready, and served them. */
async function settle(): Promise<void> {
  for (let n = 0; n < POLLS; n += 1) await untilPolled();
}

async function get(url: string): Promise<string> {
  return (await fetch(url)).text();
}

function closeConnection(handle: number): void {
  connections.get(handle)?.destroy();
  connections.delete(handle);
}

function carryOut(request: Request): unknown {
  if (request.do === 'listenTcp') return listenTcp(request.address, request.port);
  if (request.do === 'listenUdp') return listenUdp(request.address, request.port);
  if (request.do === 'stopListening') return stopListening(request);
  if (request.do === 'received') return received(request);
  if (request.do === 'tcp') return tcp(request);
  if (request.do === 'open') return openTcp(request);
  if (request.do === 'exchange') return exchange(request);
  if (request.do === 'close') return closeConnection(request.handle);
  if (request.do === 'udp') return udp(request);
  if (request.do === 'giveUp') return giveUp(request.group);
  if (request.do === 'settle') return settle();
  if (request.do === 'get') return get(request.url);
  if (request.do === 'flood') return flood(request);
  if (request.do === 'stopFlood') return stopFlood(request.handle);
  if (request.do === 'stream') return stream(request);
  if (request.do === 'stopStream') return stopStream(request.handle);
  throw new Error(`unknown request ${JSON.stringify(request)}`);
}

async function answer(line: string): Promise<void> {
  const { id, request } = JSON.parse(line) as { id: number; request: Request };
  let result: Answer;
  try {
    result = { id, ok: true, value: await carryOut(request) };
  } catch (error) {
    result = { id, ok: false, error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => void answer(line));
lines.on('close', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ id: 0, ok: true, value: 'ready' } satisfies Answer)}\n`);
