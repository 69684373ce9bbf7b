import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { fetch, type Dispatcher } from 'undici';
import type { ApiObject, JsonObject } from './api-object.ts';
import { objectAt, textAt } from './api-object.ts';

/** An API server to hold the contract against. */
export interface ContractTarget {
  readonly url: string;
  readonly token: string;
  /** How to connect, for a server whose certificate needs a CA. */
  readonly dispatcher?: Dispatcher;
}

/** An answer, read as JSON. */
export interface Answer {
  readonly code: number;
  readonly body: JsonObject;
  /** The texts of its Warning headers. */
  readonly warnings: readonly string[];
}

/** One line of a watch. */
export interface WatchLine {
  readonly type: string;
  readonly object: ApiObject;
}

/** An open watch. */
export interface OpenWatch {
  /** The next event; undefined when the server ended the watch. */
  next(): Promise<WatchLine | undefined>;
  /** Events without bookmarks, `count` of them, as `TYPE name`. */
  take(count: number): Promise<string[]>;
}

/** What a request is sent with. */
export interface RequestOptions {
  readonly type?: string;
  readonly accept?: string;
  readonly token?: string;
}

/** A bare client for tests: it shows every answer as it is. */
export class ContractClient {
  readonly #target: ContractTarget;

  constructor(target: ContractTarget) {
    this.#target = target;
  }

  async request(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    const { type = 'application/json', accept = 'application/json', token = this.#target.token } = options;
    const response = await fetch(`${this.#target.url}${path}`, {
      method,
      headers: { accept, 'content-type': type, ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      ...this.#connection(),
    });
    const text = await response.text();
    const warnings = [...(response.headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)];
    return {
      code: response.status,
      body: text.startsWith('{') ? (JSON.parse(text) as JsonObject) : { text },
      warnings: warnings.map(([, warning = '']) => warning.replaceAll(/\\(.)/g, '$1')),
    };
  }

  /** A request that must get `code`. */
  async expect(
    code: number,
    method: string,
    path: string,
    body?: unknown,
    options?: RequestOptions,
  ): Promise<JsonObject> {
    const answer = await this.request(method, path, body, options);
    assert.equal(answer.code, code, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Makes an object. */
  async create(path: string, object: unknown): Promise<ApiObject> {
    return (await this.expect(201, 'POST', path, object)) as ApiObject;
  }

  /** A request that must fail with a Status of this code and reason. */
  async refused(code: number, reason: string, method: string, path: string, body?: unknown, options?: RequestOptions) {
    const status = await this.expect(code, method, path, body, options);
    assert.deepEqual(
      [status['kind'], status['status'], status['reason'], status['code']],
      ['Status', 'Failure', reason, code],
    );
    return status;
  }

  /** Opens a watch; it ends with the test. */
  async watch(t: TestContext, path: string): Promise<OpenWatch> {
    const abort = new AbortController();
    t.after(() => abort.abort());
    const response = await fetch(`${this.#target.url}${path}`, {
      headers: { authorization: `Bearer ${this.#target.token}`, accept: 'application/json' },
      signal: abort.signal,
      ...this.#connection(),
    });
    assert.equal(response.status, 200);
    assert.ok(response.body);
    const body = Readable.fromWeb(response.body as never);
    // The end of the test cuts the body.
    body.on('error', () => undefined);
    const lines = createInterface({ input: body })[Symbol.asyncIterator]();
    const next = async (): Promise<WatchLine | undefined> => {
      const { value, done } = (await lines.next()) as IteratorResult<string>;
      return done === true ? undefined : (JSON.parse(value) as WatchLine);
    };
    const take = async (count: number): Promise<string[]> => {
      const seen: string[] = [];
      while (seen.length < count) {
        const line = await next();
        assert.ok(line, `the watch ended after ${JSON.stringify(seen)}`);
        if (line.type !== 'BOOKMARK') seen.push(`${line.type} ${line.object.metadata.name}`);
      }
      return seen;
    };
    return { next, take };
  }

  /** Makes a namespace of a name that nobody has; it goes with the test. */
  async namespace(t: TestContext): Promise<string> {
    const name = `contract-${randomUUID().slice(0, 8)}`;
    await this.create('/api/v1/namespaces', { metadata: { name } });
    t.after(() => this.request('DELETE', `/api/v1/namespaces/${name}`));
    return name;
  }

  #connection(): { dispatcher?: Dispatcher } {
    return this.#target.dispatcher === undefined ? {} : { dispatcher: this.#target.dispatcher };
  }
}

/** The resourceVersion of an object or a list. */
export function versionOf(object: unknown): string {
  return textAt(object, 'metadata', 'resourceVersion');
}

/** The names in a list. */
export function namesIn(list: JsonObject): string[] {
  const items = list['items'];
  assert.ok(Array.isArray(items));
  return items.map((item) => String(objectAt(item, 'metadata')['name']));
}
