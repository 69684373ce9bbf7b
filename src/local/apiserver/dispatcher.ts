import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../lib/log.ts';
import type { Authenticator } from './authenticator.ts';
import { discover, VERSION } from './discovery.ts';
import { requireJson, sendObject } from './http-exchange.ts';
import type { KindRegistry } from './kind.ts';
import { parseResourcePath, pathSegments } from './request-path.ts';
import { type Backend, handleCollection, handleObject } from './resource-handler.ts';
import { methodNotAllowed, noSuchPath, StatusError } from './status-error.ts';

const HEALTH_PATHS = new Set(['/healthz', '/readyz', '/livez']);

/** What requests are answered from. */
export interface DispatcherParts {
  readonly registry: KindRegistry;
  readonly backend: Backend;
  readonly authenticator: Authenticator;
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
    const { registry, backend, authenticator, signal } = this.#parts;
    const url = new URL(req.url ?? '/', 'http://apiserver');
    if (HEALTH_PATHS.has(url.pathname)) {
      res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
      return;
    }
    if (url.pathname === '/version') return sendObject(res, 200, VERSION);
    authenticator.user(req.headers.authorization);
    const segments = pathSegments(url.pathname);
    const path = parseResourcePath(segments);
    if (path === undefined) {
      const document = discover(registry, segments);
      if (document === undefined) throw noSuchPath();
      if (req.method !== 'GET') throw methodNotAllowed();
      requireJson(req);
      return sendObject(res, 200, document);
    }
    const kind = registry.find(path.group, path.version, path.plural);
    if (kind === undefined || (!kind.namespaced && path.namespace !== '')) throw noSuchPath();
    requireJson(req);
    const request = { kind, path, query: url.searchParams, req, res, signal };
    if (path.name === '') await handleCollection(request, backend);
    else await handleObject(request, backend);
  }

  #fail(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    // A client that is gone needs no answer.
    if (res.destroyed || req.errored) return;
    const known = error instanceof StatusError;
    if (!known) this.#parts.log.error({ err: error, method: req.method, url: req.url }, 'request failed');
    if (res.headersSent) {
      res.destroy();
      return;
    }
    const status = known ? error : new StatusError(500, 'InternalError', `Internal error: ${(error as Error).message}`);
    // What is left of a body that was not read must not be taken for the next request.
    if (!req.complete) res.setHeader('connection', 'close');
    sendObject(res, status.code, status.toStatus());
  }
}
