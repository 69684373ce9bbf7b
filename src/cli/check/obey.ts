import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { connect, isIPv6, type Socket } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import type { Greeting } from './echo-server.ts';
import { type Answer, ANSWERED, DROPPED, type Order, type Ports, REFUSED, TIMED_OUT, UNKNOWN } from './orders.ts';

/** What goes each way over a connection: more than a window, in packets as large as the way takes, in bytes. */
const PAYLOAD_BYTES = 64 * 1024;
/** A datagram may be lost; another one is sent after so long, in milliseconds. */
const RESEND_MS = 300;
/** Answers of the open door that are awaited behind a knock at the shut one: packets may overtake each other. */
const CONTROLS = 3;

/** What an order is done with. */
export interface Surroundings {
  readonly clock: Clock;
  /** The pod's /etc/resolv.conf. */
  readonly resolvConf: () => string;
  /** A word that nobody used before. */
  readonly word: () => string;
  /** How long anything may take to come back, in milliseconds. */
  readonly patienceMs: number;
}

/** Does what it is told, and says what happened; nothing that the network does is an exception here. */
export async function obey(order: Order, around: Surroundings): Promise<Answer> {
  const start = around.clock.now();
  let happened: string;
  try {
    happened = await happens(order, around);
  } catch (error) {
    happened = inWords(error);
  }
  return { id: order.id, happened, ms: around.clock.now() - start };
}

function happens(order: Order, around: Surroundings): Promise<string> {
  switch (order.kind) {
    case 'talk':
      return talk(order, around);
    case 'connect':
      return reach(order.address, order.port, around);
    case 'resolve':
      return resolve(order, around);
    case 'knock':
      return knock(order, around);
  }
}

/** Both protocols must be answered, by the one that is meant, who sees us as we are. */
async function talk(o: Extract<Order, { kind: 'talk' }>, around: Surroundings): Promise<string> {
  const [tcp, udp] = await Promise.all([
    outcome(overTcp(o.address, o.ports.tcp, around)),
    outcome(overUdp(o.address, o.ports.udp, around)),
  ]);
  const [overT, overU] = [tcp, udp].map((said) => (typeof said === 'string' ? said : judged(said, o)));
  if (overT === overU) return overT ?? '';
  return `TCP: ${overT}; UDP: ${overU}`;
}

function judged({ name, you }: Greeting, o: { readonly name: string; readonly source: string }): string {
  if (name !== o.name) return `an answer of ${name}, another pod`;
  return o.source === '' || you === o.source ? ANSWERED : `answered, seen as ${you} instead of ${o.source}`;
}

async function outcome<T>(promise: Promise<T>): Promise<T | string> {
  try {
    return await promise;
  } catch (error) {
    return inWords(error);
  }
}

async function reach(address: string, port: number, { patienceMs }: Surroundings): Promise<string> {
  const socket = await open(address, port, AbortSignal.timeout(patienceMs));
  socket.destroy();
  return ANSWERED;
}

async function open(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: address, port });
  const done = Promise.withResolvers<void>();
  socket.once('connect', () => done.resolve());
  socket.once('error', done.reject);
  const late = (): void => done.reject(signal.reason as Error);
  signal.addEventListener('abort', late, { once: true });
  try {
    signal.throwIfAborted();
    await done.promise;
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', late);
  }
}

/** Connects, sends the payload and waits for as much; that a connection opens says little of large packets. */
async function overTcp(address: string, port: number, around: Surroundings): Promise<Greeting> {
  const signal = AbortSignal.timeout(around.patienceMs);
  const socket = await open(address, port, signal);
  const stuck = (): void =>
    void socket.destroy(new Error(`a connection over which ${PAYLOAD_BYTES / 1024} KiB don't pass (MTU?)`));
  signal.addEventListener('abort', stuck, { once: true });
  try {
    socket.write(`${around.word()} ${PAYLOAD_BYTES}\n${'.'.repeat(PAYLOAD_BYTES)}`);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const end = text.indexOf('\n');
    if (end < 0 || text.length - end - 1 !== PAYLOAD_BYTES) throw new Error('an answer that is cut');
    return JSON.parse(text.slice(0, end)) as Greeting;
  } finally {
    signal.removeEventListener('abort', stuck);
    socket.destroy();
  }
}

/** Sends the word until it is answered. */
async function overUdp(address: string, port: number, around: Surroundings): Promise<Greeting> {
  const word = around.word();
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const done = Promise.withResolvers<Greeting>();
  done.promise.catch(() => undefined); // An error may come before it is awaited.
  socket.on('error', done.reject);
  socket.on('message', (data) => {
    const said = JSON.parse(data.toString()) as Greeting & { word: string };
    if (said.word === word) done.resolve(said);
  });
  const late = setTimeout(() => done.reject(new Error(TIMED_OUT)), around.patienceMs);
  let again: NodeJS.Timeout | undefined;
  try {
    await connected(socket, address, port);
    sendWord(socket, word, done.reject);
    again = setInterval(() => sendWord(socket, word, done.reject), RESEND_MS);
    return await done.promise;
  } finally {
    clearTimeout(late);
    clearInterval(again);
    socket.close();
  }
}

/** A connected socket takes answers of the other end alone, and hears of refusals. */
async function connected(socket: UdpSocket, address: string, port: number): Promise<void> {
  const done = Promise.withResolvers<void>();
  // Without a route the callback gets the error, which its type keeps to itself.
  socket.connect(port, address, (...[error]: readonly unknown[]) => {
    if (error instanceof Error) done.reject(error);
    else done.resolve();
  });
  await done.promise;
}

function sendWord(socket: UdpSocket, word: string, failed: (error: Error) => void): void {
  socket.send(word, (error) => {
    if (error !== null) failed(error);
  });
}

/**
 * Whether the shut door is shut: after a knock at it, answers of the open one must come, from the same pod over the
 * same way. What the knock has not met by then it does not meet.
 */
async function knock(o: Extract<Order, { kind: 'knock' }>, around: Surroundings): Promise<string> {
  const { address, name } = o;
  const { open: opened, shut } = o.doors;
  const way = await talk({ id: o.id, kind: 'talk', address, ports: opened, name, source: '' }, around);
  if (way !== ANSWERED) return `${UNKNOWN}: what the policy allows comes to ${way}`;
  const word = around.word();
  const end = new AbortController();
  const met: string[] = [];
  const connection = attempt(address, shut.tcp, end.signal, (happened) => void met.push(happened));
  const datagram = await sendOnce(address, shut.udp, word, (happened) => void met.push(happened));
  try {
    const heard = await controls(address, opened, around);
    if (heard.includes(word)) met.push(ANSWERED);
  } finally {
    end.abort(new Error('nothing came'));
    datagram.close();
    await connection;
  }
  return met[0] ?? DROPPED;
}

/** Tries to connect until the signal comes, and tells what came before it, if anything did. */
async function attempt(
  address: string,
  port: number,
  signal: AbortSignal,
  met: (happened: string) => void,
): Promise<void> {
  try {
    (await open(address, port, signal)).destroy();
    met(ANSWERED);
  } catch (error) {
    if (!signal.aborted) met(inWords(error));
  }
}

/** What the other has heard at its shut door, after so many answers at its open one. */
async function controls(address: string, ports: Ports, around: Surroundings): Promise<readonly string[]> {
  let heard: readonly string[] = [];
  for (let i = 0; i < CONTROLS; i += 1) {
    await overTcp(address, ports.tcp, around);
    ({ heard } = await overUdp(address, ports.udp, around));
  }
  return heard;
}

async function sendOnce(
  address: string,
  port: number,
  word: string,
  met: (happened: string) => void,
): Promise<{ close(): void }> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('error', (error) => met(inWords(error)));
  socket.on('message', () => met(ANSWERED));
  try {
    await connected(socket, address, port);
    sendWord(socket, word, (error) => met(inWords(error)));
  } catch (error) {
    met(inWords(error));
  }
  return socket;
}

/** Every name server must know the name. */
async function resolve(o: Extract<Order, { kind: 'resolve' }>, around: Surroundings): Promise<string> {
  const { servers, domain } = readResolvConf(around.resolvConf());
  if (domain === undefined) return "a resolv.conf without the cluster's domain (svc.…) in its search list";
  if (servers.length === 0) return 'a resolv.conf without a name server';
  const said = await Promise.all(
    servers.map((server) => outcome(ask(server, `${o.service}.${domain}`, o.addresses, around))),
  );
  const wrong = said.findIndex((words) => words !== ANSWERED);
  return wrong < 0 ? ANSWERED : `${said[wrong]} of ${servers[wrong]}`;
}

async function ask(
  server: string,
  name: string,
  addresses: readonly string[],
  { patienceMs }: Surroundings,
): Promise<string> {
  const resolver = new Resolver({ timeout: patienceMs / 2, tries: 2 });
  resolver.setServers([isIPv6(server) ? `[${server}]` : server]);
  // A Service has addresses of one family or of both; its name has as many kinds of records.
  const found = await Promise.any([resolver.resolve4(name), resolver.resolve6(name)]).catch((error: unknown) => {
    throw error instanceof AggregateError ? error.errors[0] : error;
  });
  return found.some((address) => addresses.includes(address))
    ? ANSWERED
    : `an answer that ${name} is ${found.join(', ')}, not ${addresses.join(', ')},`;
}

/** The name servers, and the cluster's domain, `svc.cluster.local`, of a pod's resolv.conf (resolv.conf(5)). */
export function readResolvConf(text: string): { readonly servers: readonly string[]; readonly domain?: string } {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const servers = lines.flatMap(([key, value]) => (key === 'nameserver' && value !== undefined ? [value] : []));
  const search = lines.findLast(([key]) => key === 'search')?.slice(1) ?? [];
  const domain = search.map((name) => name.replace(/\.$/, '')).find((name) => name.startsWith('svc.'));
  return domain === undefined ? { servers } : { servers, domain };
}

/** What an error of the network is called here. */
function inWords(error: unknown): string {
  const { code = '', message, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || code === 'ETIMEDOUT' || code === 'ETIMEOUT') return TIMED_OUT;
  if (code === 'ECONNREFUSED') return REFUSED;
  if (code === 'ECONNRESET') return 'a reset';
  if (code === 'ENOTFOUND' || code === 'ENODATA') return 'an answer that there is no such name';
  return message === '' ? code : message;
}
