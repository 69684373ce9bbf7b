import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { ApiError, type Selection } from '../../src/kube/client.ts';
import { FakeKubeClient } from '../../src/kube/fake-client.ts';
import { ID_CLAIMS } from '../../src/objects/id-claim.ts';
import * as resources from '../../src/objects/resources.ts';
import type { Resource } from '../../src/objects/resources.ts';
import type { TestNetns } from './netns.ts';

/** `/api/v1` or `/apis/GROUP/VERSION`, perhaps a namespace, the plural, perhaps a name and a subresource. */
const PATH = /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;
const KINDS = [ID_CLAIMS, ...Object.values(resources).filter((value) => typeof value === 'object')];

interface Target {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string | undefined;
}

/**
 * An API server in memory over HTTP, for tests of a daemon as a process with more objects than the embedded one takes
 * in a test's time. It is the fake of the unit tests: no schemas, no defaults, no bookmarks, no pages.
 */
export class FakeApiServer {
  readonly client = new FakeKubeClient();
  /** The bytes of all lists and watches that were sent, in which a client hears of what others do. */
  sent = 0;
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error: unknown) => this.#refuse(response, error));
  });

  /** Listens on the loopback of `ns`. @returns its address there */
  async listen(ns: TestNetns): Promise<string> {
    const listening = once(this.#server, 'listening');
    // Without the name of an address Node makes the socket at once, that is in the namespace.
    ns.inside(() => void this.#server.listen(0));
    await listening;
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const target = targetOf(url.pathname);
    const { resource, namespace, name, subresource } = target;
    if (request.method === 'POST') {
      return void this.#say(response, await this.client.create(resource, (await json(request)) as object, namespace));
    }
    if (request.method === 'PATCH') {
      const patch = (await json(request)) as object;
      return void this.#say(response, await this.client.patch(resource, name, patch, { namespace, subresource }));
    }
    if (request.method !== 'GET') throw new ApiError({ status: 405, message: `no ${request.method} here` });
    if (name !== '') return void this.#say(response, await this.client.get(resource, name, namespace));
    const selection: Selection = {
      namespace,
      labelSelector: url.searchParams.get('labelSelector') ?? undefined,
      fieldSelector: url.searchParams.get('fieldSelector') ?? undefined,
    };
    if (url.searchParams.has('watch')) {
      return await this.#watch(response, resource, selection, url.searchParams.get('resourceVersion') ?? '');
    }
    const { items, resourceVersion } = await this.client.list(resource, selection);
    const list = { kind: `${resource.kind}List`, metadata: { resourceVersion } };
    // Who asks for one object wants to know the version.
    if (url.searchParams.get('limit') === '1') return void this.#say(response, { ...list, items: items.slice(0, 1) });
    this.sent += this.#say(response, { ...list, items });
  }

  async #watch(
    response: ServerResponse,
    resource: Resource,
    selection: Selection,
    resourceVersion: string,
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the watch is closed')));
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const events = this.client.watch(resource, { ...selection, resourceVersion, signal: gone.signal });
    for await (const { type, object } of events) {
      const line = `${JSON.stringify({ type, object })}\n`;
      this.sent += Buffer.byteLength(line);
      response.write(line);
    }
  }

  /** @returns the bytes of the body. */
  #say(response: ServerResponse, body: unknown): number {
    const text = JSON.stringify(body);
    response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    return Buffer.byteLength(text);
  }

  #refuse(response: ServerResponse, error: unknown): void {
    if (response.headersSent) return void response.destroy();
    const { status, reason } = error instanceof ApiError ? error : { status: 500, reason: 'InternalError' };
    const message = String(error);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message }),
    );
  }
}

function targetOf(path: string): Target {
  const [, group = '', version, namespace = '', plural, name = '', subresource] = PATH.exec(path) ?? [];
  const resource = KINDS.find((kind) => kind.group === group && kind.version === version && kind.plural === plural);
  if (resource === undefined) throw new ApiError({ status: 404, reason: 'NotFound', message: `no ${path} here` });
  return { resource, namespace, name: decodeURIComponent(name), subresource };
}
