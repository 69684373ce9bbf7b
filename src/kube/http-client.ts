import type { Agent, Dispatcher } from 'undici';
import { type Clock, systemClock } from '../lib/clock.ts';
import { apiVersionOf, type Resource } from '../objects/resources.ts';
import {
  ApiError,
  BadAnswerError,
  type DeleteOptions,
  type KubeClient,
  type ListOptions,
  type ObjectList,
  type PatchOptions,
  type ReplaceOptions,
  ReturnedError,
  UnansweredError,
  type WatchEvent,
  type WatchOptions,
} from './client.ts';
import { authorization, type Connection } from './connection.ts';
import { httpAgent } from './http-agent.ts';
import { asRecord, identityOf } from './json.ts';
import { lines } from './lines.ts';
import { listPages, PAGE_SIZE } from './list-pages.ts';
import { Pulse } from './pulse.ts';
import { PulseConnection } from './pulse-connection.ts';
import { collectionPath, objectPath, queryText, selectionQuery } from './paths.ts';
import { errorOfResponse, errorOfStatus } from './status.ts';
import { Traffic, type Usage } from './traffic.ts';

/** Bounds of a client, in milliseconds and bytes. */
export interface HttpLimits {
  /** TCP and TLS together. */
  readonly connectMs: number;
  /** From the request to the head of the answer. */
  readonly headMs: number;
  /** A whole request that is no watch; of a list, each page. */
  readonly requestMs: number;
  /**
   * A watch without a byte for so long counts as dead: the API server sends a bookmark about once a minute. It is for
   * a server that forgot one watch; that it was silent as a whole shows within seconds (`pulseMs`).
   */
  readonly idleMs: number;
  /** How often to look whether the server is still there, while requests or watches are open. */
  readonly pulseMs: number;
  /** How long to wait for the answer to that; longer than TCP's first repetition of a lost SYN, 1 s. */
  readonly pulseAnswerMs: number;
  /** One line of a watch; etcd takes 1.5 MiB per object, a watch shows it once. */
  readonly lineBytes: number;
  /** A whole answer that is no watch. */
  readonly answerBytes: number;
}

/** The limits of the program. */
export const DEFAULT_LIMITS: HttpLimits = {
  connectMs: 3_000,
  headMs: 10_000,
  requestMs: 30_000,
  idleMs: 90_000,
  pulseMs: 2_000,
  pulseAnswerMs: 1_200,
  lineBytes: 8 * 2 ** 20,
  answerBytes: 256 * 2 ** 20,
};

/** Connections to the server at once, each watch holds one; idle ones are closed after 4 s. */
const POOL = { connections: 256, keepMs: 4_000 };

/** Of an answer that is none, in an error. */
const SHOWN_CHARS = 100;

interface Request {
  readonly usage: Usage;
  readonly body?: object | undefined;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** How long the body may be silent, in milliseconds; 0 is for ever. */
  readonly idleMs: number;
}

/** A request whose whole answer is bounded in time. */
type Bounded = Omit<Request, 'idleMs'>;

/** A Kubernetes API server over HTTP/1.1: requests share kept-alive connections, each watch has its own. */
export class HttpKubeClient implements KubeClient {
  readonly connection: Connection;
  /** What was asked and sent until now. */
  readonly traffic = new Traffic();
  readonly #limits: HttpLimits;
  readonly #prefix: string;
  readonly #origin: string;
  readonly #pulse: Pulse;
  readonly #pulseConnection: PulseConnection;
  #agent: Agent | undefined;

  /** @throws Error if the connection's server is no http or https URL. */
  constructor(connection: Connection, limits: Partial<HttpLimits> = {}, clock: Clock = systemClock) {
    this.connection = connection;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#pulseConnection = new PulseConnection(connection, this.#limits, this.traffic.of('pulse'));
    this.#pulse = new Pulse({
      ask: (fresh, signal) => this.#pulseConnection.ask(fresh, signal),
      onReturn: () => this.#startAfresh(),
      everyMs: this.#limits.pulseMs,
      answerMs: this.#limits.pulseAnswerMs,
      clock,
    });
    const url = URL.parse(connection.server);
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new Error(
        `the API server's address must be an http or https URL, found ${JSON.stringify(connection.server)}`,
      );
    }
    this.#origin = url.origin;
    this.#prefix = url.pathname.replace(/\/+$/, '');
  }

  /** Cuts all connections; what is under way fails. */
  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    this.#pulseConnection.close();
    await agent?.destroy();
  }

  list<T = unknown>(resource: Resource, options: ListOptions<T> = {}): Promise<ObjectList<T>> {
    const { signal, each = (object) => object as T } = options;
    const path = collectionPath(resource, options.namespace);
    const usage = this.traffic.of('list', resource.plural);
    return listPages((token) => {
      const query = queryText({ ...selectionQuery(options), limit: PAGE_SIZE, continue: token });
      return this.#json('GET', path + query, { usage, signal });
    }, each);
  }

  async version(resource: Resource, options: Pick<ListOptions, 'namespace' | 'signal'> = {}): Promise<string> {
    const path = collectionPath(resource, options.namespace) + queryText({ limit: 1 });
    const usage = this.traffic.of('version', resource.plural);
    return identityOf(await this.#json('GET', path, { usage, signal: options.signal })).resourceVersion;
  }

  get(resource: Resource, name: string, namespace?: string): Promise<unknown> {
    return this.#json('GET', objectPath(resource, name, namespace), { usage: this.traffic.of('get', resource.plural) });
  }

  create(resource: Resource, object: object, namespace?: string): Promise<unknown> {
    const path = collectionPath(resource, namespace ?? identityOf(object).namespace);
    return this.#json('POST', path, {
      usage: this.traffic.of('create', resource.plural),
      body: typed(resource, object),
    });
  }

  replace(resource: Resource, object: object, options: ReplaceOptions = {}): Promise<unknown> {
    const { name, namespace } = identityOf(object);
    const path = objectPath(resource, name, namespace, options.subresource);
    return this.#json('PUT', path, {
      usage: this.traffic.of('replace', resource.plural),
      body: typed(resource, object),
    });
  }

  patch(resource: Resource, name: string, mergePatch: object, options: PatchOptions = {}): Promise<unknown> {
    const path = objectPath(resource, name, options.namespace, options.subresource);
    const usage = this.traffic.of('patch', resource.plural);
    return this.#json('PATCH', path, { usage, body: mergePatch, contentType: 'application/merge-patch+json' });
  }

  delete(resource: Resource, name: string, options: DeleteOptions = {}): Promise<unknown> {
    const { gracePeriodSeconds, uid, resourceVersion } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds, preconditions };
    const usage = this.traffic.of('delete', resource.plural);
    return this.#json('DELETE', objectPath(resource, name, options.namespace), { usage, body });
  }

  async *watch(resource: Resource, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    const query = queryText({
      ...selectionQuery(options),
      watch: true,
      resourceVersion: options.resourceVersion,
      allowWatchBookmarks: options.allowBookmarks === true ? true : undefined,
      timeoutSeconds: options.timeoutSeconds,
    });
    const path = collectionPath(resource, options.namespace) + query;
    const usage = this.traffic.of('watch', resource.plural);
    const stream = this.#stream(path, { usage, signal: options.signal, idleMs: this.#limits.idleMs });
    for await (const line of lines(stream, this.#limits.lineBytes)) yield readEvent(line);
  }

  async raw(method: string, path: string, body?: object): Promise<unknown> {
    const text = await this.#text(method, path, { usage: this.traffic.of('raw'), body });
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }

  /** The bytes of the answer to a GET, as they come; it may be silent for ever. */
  stream(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#stream(path, { usage: this.traffic.of('raw'), signal, idleMs: 0 });
  }

  async *#stream(path: string, request: Request): AsyncGenerator<Uint8Array, void, undefined> {
    const what = `GET ${this.#origin}${this.#prefix}${path}`;
    const ended = this.#pulse.follow();
    let response: Dispatcher.ResponseData | undefined;
    try {
      response = await this.#send('GET', path, request);
      if (response.statusCode >= 300) throw await this.#refusal(what, response);
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        request.usage.receivedBytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw explain(what, error, request.signal);
    } finally {
      ended();
      response?.body.destroy();
    }
  }

  async #json(method: string, path: string, request: Bounded): Promise<unknown> {
    const text = await this.#text(method, path, request);
    const what = `${method} ${this.#origin}${this.#prefix}${path}`;
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (cause) {
      throw new BadAnswerError(`${what}: the answer is no JSON`, { cause });
    }
    if (asRecord(answer) !== undefined) return answer;
    throw new BadAnswerError(`${what}: the answer is no object, found ${text.slice(0, SHOWN_CHARS)}`);
  }

  async #text(method: string, path: string, request: Bounded): Promise<string> {
    const what = `${method} ${this.#origin}${this.#prefix}${path}`;
    const timeout = AbortSignal.timeout(this.#limits.requestMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    const ended = this.#pulse.follow();
    let response: Dispatcher.ResponseData | undefined;
    try {
      response = await this.#send(method, path, { ...request, signal, idleMs: this.#limits.requestMs });
      if (response.statusCode >= 300) throw await this.#refusal(what, response);
      const body = await readBody(response.body, this.#limits.answerBytes);
      request.usage.receivedBytes += body.length;
      return body.toString();
    } catch (error) {
      throw explain(what, error, request.signal);
    } finally {
      ended();
      response?.body.destroy();
    }
  }

  async #refusal(what: string, response: Dispatcher.ResponseData): Promise<Error> {
    const body = await readBody(response.body, this.#limits.lineBytes);
    return errorOfResponse(what, response.statusCode, response.headers['retry-after'], body.toString());
  }

  /** Ends whatever is under way, on connections that may be dead; what follows makes new ones. */
  #startAfresh(): void {
    const agent = this.#agent;
    this.#agent = undefined;
    const reason = new ReturnedError('the API server is back after a silence: begins anew');
    void agent?.destroy(reason);
  }

  /** Sends one request, once more with a fresh token if the server refuses the one that it was sent with. */
  async #send(method: string, path: string, request: Request): Promise<Dispatcher.ResponseData> {
    this.#agent ??= httpAgent(this.connection, { ...this.#limits, ...POOL });
    const agent = this.#agent;
    for (let attempt = 0; ; attempt += 1) {
      const auth = await authorization(this.connection, attempt > 0);
      request.usage.requests += 1;
      const response = await agent.request({
        origin: this.#origin,
        path: this.#prefix + path,
        method,
        headers: {
          accept: 'application/json',
          'user-agent': 'romana',
          ...(auth === undefined ? {} : { authorization: auth }),
          ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        bodyTimeout: request.idleMs,
        signal: request.signal ?? null,
      });
      if (response.statusCode !== 401 || attempt > 0 || this.connection.token === undefined) return response;
      await response.body.dump();
    }
  }
}

/** Objects need not carry their own type; a server wants it. */
function typed(resource: Resource, object: object): object {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
}

const EVENT_TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

function readEvent(line: Buffer): WatchEvent {
  let event: Readonly<Record<string, unknown>> | undefined;
  try {
    event = asRecord(JSON.parse(line.toString()));
  } catch (cause) {
    throw new BadAnswerError('a line of the watch is no JSON', { cause });
  }
  const type = event?.['type'];
  if (type === 'ERROR') throw errorOfStatus(event?.['object'], 500);
  if (!EVENT_TYPES.has(type))
    throw new BadAnswerError(`a line of the watch has no known type, found ${JSON.stringify(type)}`);
  return { type: type as WatchEvent['type'], object: event?.['object'], bytes: line.length + 1 };
}

async function readBody(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) throw new BadAnswerError(`the answer is longer than ${maxBytes} bytes`);
  }
  return Buffer.concat(chunks, length);
}

/** Says which request failed; the server's own refusals and the caller's own abort stay as they are. */
function explain(what: string, error: unknown, signal: AbortSignal | undefined): Error {
  if (error instanceof ApiError || error instanceof BadAnswerError || error instanceof ReturnedError) return error;
  if (signal?.aborted === true && error === signal.reason) return error as Error;
  const { message = '', code = '' } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) };
  // Several addresses that all refuse make an AggregateError without a message.
  const why = message === '' ? code : message;
  return new UnansweredError(why.startsWith(what) ? why : `${what}: ${why}`, { cause: error });
}
