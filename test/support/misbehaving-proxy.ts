import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

/** How the proxy misbehaves. Faults other than `pass` begin with what is open already. */
export type Fault =
  | { readonly do: 'pass' }
  /** Its ports are closed, what is open is reset. */
  | { readonly do: 'refuse' }
  /** It accepts, and says nothing; what is open is silent from now on. All that stays so when the fault is over. */
  | { readonly do: 'be silent' }
  /** So many bytes a second for each answer. */
  | { readonly do: 'be slow'; readonly bytesPerSecond: number }
  /** Cuts watches in the middle of a line. */
  | { readonly do: 'cut watches' }
  /** Answers with half of a JSON text, and ends. */
  | { readonly do: 'halve' }
  /** Refuses requests; an open watch gets the refusal as its last line. */
  | { readonly do: 'refuse with'; readonly status: number; readonly retryAfter?: number; readonly only?: 'watches' }
  /** Shows other objects than there are, in lists and watches; open watches end. */
  | { readonly do: 'rewrite'; readonly object: (object: Record<string, unknown>) => unknown };

const PASS: Fault = { do: 'pass' };
const HALF_LINE = '{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"na';
/** What is sent at once when slow, in bytes. */
const SLOW_PIECE = 16;

/** Where it listens. */
interface Place {
  readonly enter: (act: () => void) => void;
  port: number;
  server: Server | undefined;
}

interface Exchange {
  readonly watch: boolean;
  readonly response: ServerResponse;
}

/** Stands in front of an API server on 127.0.0.1, speaks HTTP, and misbehaves as it is told. */
export class MisbehavingProxy {
  readonly #upstream: number;
  readonly #places: Place[] = [];
  readonly #sockets = new Set<Socket>();
  /** Connections that are silent for ever. */
  readonly #dead = new WeakSet<Socket>();
  readonly #exchanges = new Set<Exchange>();
  #fault: Fault = PASS;
  #hits = new Map<string, number>();

  /** @param upstream the API server's port on 127.0.0.1. */
  constructor(upstream: number) {
    this.#upstream = upstream;
  }

  /** Listens on all addresses of a network namespace. @param enter runs its argument in it. @returns the port */
  async listen(enter: (act: () => void) => void): Promise<number> {
    const place: Place = { enter, port: 0, server: undefined };
    this.#places.push(place);
    return this.#open(place);
  }

  /** By the address of a client: how often it has met with the fault that is on. */
  get hits(): ReadonlyMap<string, number> {
    return this.#hits;
  }

  /** Behaves so from now on. */
  async misbehave(fault: Fault): Promise<void> {
    const before = this.#fault;
    this.#fault = fault;
    this.#hits = new Map();
    if (fault.do === 'refuse') await this.#close();
    else if (before.do === 'refuse') await Promise.all(this.#places.map((place) => this.#open(place)));
    if (fault.do === 'be silent') for (const socket of this.#sockets) this.#dead.add(socket);
    if (fault.do !== 'be slow') for (const exchange of this.#exchanges) this.#disturb(exchange);
  }

  /** Behaves well from now on. */
  async behave(): Promise<void> {
    await this.misbehave(PASS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #open(place: Place): Promise<number> {
    const server = createServer((request, response) => void this.#handle(request, response));
    server.keepAliveTimeout = 120_000;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      if (this.#fault.do === 'be silent') this.#dead.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    place.server = server;
    const listening = once(server, 'listening');
    // Without the name of an address Node makes the socket at once, that is in the namespace.
    place.enter(() => void server.listen({ host: '', port: place.port }));
    await listening;
    place.port = (server.address() as AddressInfo).port;
    return place.port;
  }

  async #close(): Promise<void> {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    const servers = this.#places.map((place) => {
      const { server } = place;
      place.server = undefined;
      return new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    });
    await Promise.all(servers);
  }

  /** What the fault that has begun does to what is open. */
  #disturb({ watch, response }: Exchange): void {
    const fault = this.#fault;
    if (!watch || response.socket === null || this.#dead.has(response.socket)) return;
    if (fault.do === 'cut watches') response.write(HALF_LINE, () => response.destroy());
    else if (fault.do === 'halve') response.end(HALF_LINE);
    else if (fault.do === 'rewrite') response.end();
    else if (fault.do === 'refuse with') {
      response.end(`${JSON.stringify({ type: 'ERROR', object: statusOf(fault.status) })}\n`);
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = this.#fault;
    const { socket, url = '/', method = 'GET', headers } = request;
    const from = socket.remoteAddress ?? '';
    if (fault.do !== 'pass') this.#hits.set(from, (this.#hits.get(from) ?? 0) + 1);
    response.on('error', () => undefined); // the client is gone
    if (this.#dead.has(socket)) return;
    const watch = url.includes('watch=true');
    if (fault.do === 'refuse with' && (watch || fault.only === undefined)) return refuse(response, fault);
    const answer = await new Promise<IncomingMessage | undefined>((resolve) => {
      const upstream = ask({ host: '127.0.0.1', port: this.#upstream, method, path: url, headers }, resolve);
      upstream.on('error', () => resolve(undefined));
      response.once('close', () => upstream.destroy());
      request.pipe(upstream);
    });
    if (answer === undefined) return void response.destroy();
    const exchange = { watch, response };
    this.#exchanges.add(exchange);
    response.once('close', () => this.#exchanges.delete(exchange));
    const { 'content-length': _length, ...answered } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, answered);
    try {
      if (watch) await this.#passWatch(answer, response, fault);
      else await this.#passWhole(answer, response, fault);
    } catch {
      response.destroy(); // one of both is gone
    }
  }

  async #passWatch(answer: IncomingMessage, response: ServerResponse, fault: Fault): Promise<void> {
    if (!this.#isDead(response)) response.flushHeaders();
    if (fault.do === 'cut watches' || fault.do === 'halve') this.#disturb({ watch: true, response });
    for await (const line of createInterface({ input: answer })) {
      if (this.#isDead(response)) continue;
      const { type, object } = JSON.parse(line) as { type: string; object: Record<string, unknown> };
      const shown = fault.do === 'rewrite' ? JSON.stringify({ type, object: fault.object(object) }) : line;
      await this.#say(response, `${shown}\n`);
    }
    if (!this.#isDead(response)) response.end();
  }

  async #passWhole(answer: IncomingMessage, response: ServerResponse, fault: Fault): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    if (this.#isDead(response)) return;
    let text = Buffer.concat(chunks).toString();
    if (fault.do === 'rewrite') {
      const json = JSON.parse(text) as { items?: Record<string, unknown>[] };
      if (json.items !== undefined) text = JSON.stringify({ ...json, items: json.items.map(fault.object) });
    }
    if (fault.do === 'halve') text = text.slice(0, text.length / 2);
    await this.#say(response, text);
    response.end();
  }

  /** Sends a text as fast as it may be sent now. */
  async #say(response: ServerResponse, text: string): Promise<void> {
    let rest = Buffer.from(text);
    for (;;) {
      const { bytesPerSecond } = this.#fault.do === 'be slow' ? this.#fault : { bytesPerSecond: Infinity };
      if (bytesPerSecond === Infinity || rest.length === 0) break;
      response.write(rest.subarray(0, SLOW_PIECE));
      rest = rest.subarray(SLOW_PIECE);
      await delay((SLOW_PIECE / bytesPerSecond) * 1_000);
      if (response.destroyed) return;
    }
    if (rest.length > 0) response.write(rest);
  }

  #isDead({ socket }: ServerResponse): boolean {
    return socket !== null && this.#dead.has(socket);
  }
}

function statusOf(code: number): object {
  const reason = { 410: 'Expired', 429: 'TooManyRequests', 503: 'ServiceUnavailable' }[code] ?? 'InternalError';
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: `the proxy says ${code}` };
}

function refuse(response: ServerResponse, { status, retryAfter }: Extract<Fault, { do: 'refuse with' }>): void {
  const headers = { 'content-type': 'application/json' };
  response.writeHead(status, retryAfter === undefined ? headers : { ...headers, 'retry-after': String(retryAfter) });
  response.end(JSON.stringify(statusOf(status)));
}
