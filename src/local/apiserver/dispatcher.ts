import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log } from '../../lib/log.ts';
import type { JsonObject } from './api-object.ts';
import type { Authenticator } from './authenticator.ts';
import { discover, VERSION } from './discovery.ts';
import { requireJson, sendObject } from './http-exchange.ts';
import type { KindRegistry } from './kind.ts';
import { handleLegacy, legacyRest } from './legacy-handler.ts';
import type { NodeProxy } from './node-proxy.ts';
import { findContainer, proxyExec, proxyLog } from './pod-proxy.ts';
import { parseResourcePath, pathSegments, type ResourcePath } from './request-path.ts';
import { type Backend, handleCollection, handleObject } from './resource-handler.ts';
import { badRequest, methodNotAllowed, noSubresource, noSuchPath, StatusError } from './status-error.ts';

const HEALTH_PATHS = new Set(['/healthz', '/readyz', '/livez']);

/** What requests are answered from. */
export interface DispatcherParts {
  readonly registry: KindRegistry;
  readonly openApi: ReadonlyMap<string, JsonObject>;
  readonly backend: Backend;
  readonly authenticator: Authenticator;
  readonly nodeProxy: NodeProxy | undefined;
  readonly log: Log;
  /** Aborts when the server closes. */
  readonly signal: AbortSignal;
}

/** Takes a request to whoever answers it, and makes a Status of every error. */
export class Dispatcher {
  readonly #parts: DispatcherParts;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Answers one request; never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      await this.#route(req, res);
    } catch (error) {
      this.#fail(req, res, error);
    }
  }

  async #route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { registry, openApi, backend, authenticator, signal } = this.#parts;
    const url = new URL(req.url ?? '/', 'http://apiserver');
    if (HEALTH_PATHS.has(url.pathname)) {
      res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
      return;
    }
    if (url.pathname === '/version') return sendObject(res, 200, VERSION);
    authenticator.user(req.headers.authorization);
    const segments = pathSegments(url.pathname);
    const legacy = legacyRest(segments);
    const query = url.searchParams;
    if (legacy !== undefined) return handleLegacy({ rest: legacy, query, req, res }, registry, backend);
    const path = parseResourcePath(segments);
    if (path === undefined) {
      const document = openApi.get(segments.join('/')) ?? discover(registry, segments);
      if (document === undefined) throw noSuchPath();
      if (req.method !== 'GET') throw methodNotAllowed();
      requireJson(req);
      return sendObject(res, 200, document);
    }
    const kind = registry.find(path.group, path.version, path.plural);
    if (kind === undefined || (!kind.namespaced && path.namespace !== ''))
      throw noSuchPath(registry.all.some(({ builtin, group }) => builtin && group === path.group));
    if (kind.key === 'pods' && path.subresource === 'log') return this.#log(path, query, req, res);
    if (kind.key === 'pods' && path.subresource === 'exec') throw badRequest('Upgrade request required');
    requireJson(req);
    const request = { kind, path, query, req, res, signal };
    if (path.name === '') await handleCollection(request, backend);
    else await handleObject(request, backend);
  }

  /** Answers a request to go on in another protocol: only exec in a pod, as a WebSocket. Never rejects. */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      const { registry, backend, authenticator, signal } = this.#parts;
      authenticator.user(req.headers.authorization);
      const url = new URL(req.url ?? '/', 'http://apiserver');
      const path = parseResourcePath(pathSegments(url.pathname));
      const kind = path === undefined ? undefined : registry.find(path.group, path.version, path.plural);
      if (path === undefined || kind?.key !== 'pods') throw noSuchPath();
      if (path.subresource !== 'exec') throw noSubresource(path.plural, path.subresource);
      if (req.headers.upgrade?.toLowerCase() !== 'websocket')
        throw badRequest('exec needs a WebSocket with the subprotocol v5.channel.k8s.io');
      const pod = backend.objects.get(kind, path.namespace, path.name);
      const place = findContainer(backend.store, pod, url.searchParams.get('container') ?? '');
      await proxyExec(this.#proxy(), place, url.searchParams, { req, socket, head }, signal);
    } catch (error) {
      const status = this.#statusOf(req, error);
      const body = JSON.stringify(status.toStatus());
      const headers = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
      socket.end(`HTTP/1.1 ${status.code} ${status.reason}\r\n${headers}\r\n\r\n${body}`);
    }
  }

  async #log(path: ResourcePath, query: URLSearchParams, req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method !== 'GET') throw methodNotAllowed();
    const { backend, registry, signal } = this.#parts;
    const pod = backend.objects.get(registry.byKey('pods'), path.namespace, path.name);
    const place = findContainer(backend.store, pod, query.get('container') ?? '');
    await proxyLog(this.#proxy(), place, query, res, signal);
  }

  #proxy(): NodeProxy {
    const { nodeProxy } = this.#parts;
    if (nodeProxy !== undefined) return nodeProxy;
    throw new StatusError(503, 'ServiceUnavailable', 'this API server has no way to the nodes');
  }

  #statusOf(req: IncomingMessage, error: unknown): StatusError {
    if (error instanceof StatusError) return error;
    this.#parts.log.error({ err: error, method: req.method, url: req.url }, 'request failed');
    return new StatusError(500, 'InternalError', `Internal error: ${(error as Error).message}`);
  }

  #fail(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    const status = this.#statusOf(req, error);
    // A client that is gone or was cut off needs no answer.
    if (res.headersSent || res.destroyed || (req.destroyed && !req.complete)) {
      req.socket.destroy();
      return;
    }
    // What is left of a body that was not read must not be taken for the next request.
    if (!req.complete) res.setHeader('connection', 'close');
    if (status.text === undefined) return sendObject(res, status.code, status.toStatus());
    res.writeHead(status.code, { 'content-type': 'text/plain; charset=utf-8' }).end(status.text);
  }
}
