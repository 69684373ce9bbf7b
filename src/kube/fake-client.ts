import { unwrap } from '../lib/result.ts';
import type { Resource } from '../objects/resources.ts';
import { matches, parseSelectorText } from '../objects/selector.ts';
import {
  ApiError,
  type DeleteOptions,
  type KubeClient,
  type ListOptions,
  type ObjectList,
  type PatchOptions,
  type ReplaceOptions,
  type Selection,
  type WatchEvent,
  type WatchOptions,
} from './client.ts';
import { type Change, FakeStore } from './fake-store.ts';
import { asRecord, asText, identityOf, keyOf } from './json.ts';
import { mergePatch } from './merge-patch.ts';

/** One call of a fake client, for `fail` and for looking at what was asked. */
export interface Call {
  readonly verb: 'list' | 'version' | 'get' | 'create' | 'replace' | 'patch' | 'delete' | 'watch';
  readonly resource: Resource;
  /** `namespace/name`, or the namespace of a list or watch. */
  readonly key: string;
  readonly body?: unknown;
}

/**
 * An API server in memory, for unit tests: versions, conflicts, preconditions, finalizers, the status subresource,
 * selectors and watches with 410. It knows no schemas and no defaults; the embedded API server does.
 */
export class FakeKubeClient implements KubeClient {
  readonly store: FakeStore;
  /** All calls until now, oldest first. */
  readonly calls: Call[] = [];
  /** What a test makes a call fail with. */
  fail: (call: Call) => Error | undefined = () => undefined;
  readonly #cuts = new Set<(error: Error) => void>();

  /** @param from milliseconds since the epoch, for the timestamps of objects; or another client's store to share. */
  constructor(from: (() => number) | { readonly store: FakeStore } = Date.now) {
    this.store = typeof from === 'function' ? new FakeStore(from) : from.store;
  }

  async list<T = unknown>(resource: Resource, options: ListOptions<T> = {}): Promise<ObjectList<T>> {
    this.#called({ verb: 'list', resource, key: options.namespace ?? '' });
    const selected = selects(resource, options);
    const { each = (object) => object as T } = options;
    const items = this.store.all(resource).filter((o) => selected(o));
    return { items: items.map((o) => each(structuredClone(o))), resourceVersion: String(this.store.version) };
  }

  async version(resource: Resource, options: Pick<ListOptions, 'namespace'> = {}): Promise<string> {
    this.#called({ verb: 'version', resource, key: options.namespace ?? '' });
    return String(this.store.version);
  }

  async get(resource: Resource, name: string, namespace = ''): Promise<unknown> {
    const key = keyOf({ name, namespace });
    this.#called({ verb: 'get', resource, key });
    return structuredClone(this.store.read(resource, key));
  }

  async create(resource: Resource, object: object, namespace = identityOf(object).namespace): Promise<unknown> {
    this.#called({ verb: 'create', resource, key: keyOf({ name: identityOf(object).name, namespace }), body: object });
    return structuredClone(this.store.create(resource, object, namespace));
  }

  async replace(resource: Resource, object: object, options: ReplaceOptions = {}): Promise<unknown> {
    const key = keyOf(identityOf(object));
    this.#called({ verb: 'replace', resource, key, body: object });
    return structuredClone(this.store.update(resource, key, object, options.subresource));
  }

  async patch(resource: Resource, name: string, patch: object, options: PatchOptions = {}): Promise<unknown> {
    const key = keyOf({ name, namespace: options.namespace ?? '' });
    this.#called({ verb: 'patch', resource, key, body: patch });
    const next = asRecord(mergePatch(this.store.read(resource, key), patch)) ?? {};
    return structuredClone(this.store.update(resource, key, next, options.subresource));
  }

  async delete(resource: Resource, name: string, options: DeleteOptions = {}): Promise<unknown> {
    const key = keyOf({ name, namespace: options.namespace ?? '' });
    this.#called({ verb: 'delete', resource, key });
    return structuredClone(this.store.delete(resource, key, options));
  }

  async raw(method: string, path: string): Promise<unknown> {
    throw new ApiError({ status: 404, reason: 'NotFound', message: `the fake API server has no ${method} ${path}` });
  }

  /** Ends every watch with an error, as a broken connection does. */
  cutWatches(error: Error = new Error('the connection was cut')): void {
    for (const cut of this.#cuts) cut(error);
  }

  async *watch(resource: Resource, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    this.#called({ verb: 'watch', resource, key: options.namespace ?? '' });
    const { signal } = options;
    const selected = selects(resource, options);
    const versionText = options.resourceVersion ?? '';
    let version = versionText === '' ? this.store.version : Number(versionText);
    if (versionText === '') {
      for (const object of this.store.all(resource)) if (selected(object)) yield event('ADDED', object);
    }
    let wake = quietSignal();
    const cut = (error: Error): void => wake.reject(error);
    const abort = (): void => wake.reject(signal?.reason as Error);
    const unsubscribe = this.store.subscribe(() => wake.resolve());
    this.#cuts.add(cut);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      for (;;) {
        signal?.throwIfAborted();
        const reached = this.store.version;
        const changes = this.store.changesAfter(resource, version);
        version = reached;
        for (const change of changes) {
          const e = eventOf(change, selected);
          if (e !== undefined) yield e;
        }
        await wake.promise;
        wake = quietSignal();
      }
    } finally {
      unsubscribe();
      this.#cuts.delete(cut);
      signal?.removeEventListener('abort', abort);
    }
  }

  #called(call: Call): void {
    this.calls.push(call);
    const failure = this.fail(call);
    if (failure !== undefined) throw failure;
  }
}

/** A promise to wait for, whose rejection is no unhandled one while nobody waits. */
function quietSignal(): PromiseWithResolvers<void> {
  const signal = Promise.withResolvers<void>();
  signal.promise.catch(() => undefined);
  return signal;
}

function labelsOf(object: unknown): ReadonlyMap<string, string> {
  const labels = asRecord(asRecord(asRecord(object)?.['metadata'])?.['labels']) ?? {};
  return new Map(Object.entries(labels).map(([key, value]) => [key, asText(value)]));
}

function fieldOf(object: unknown, path: string): string {
  return asText(path.split('.').reduce((value: unknown, key) => asRecord(value)?.[key], object));
}

function selects(resource: Resource, s: Selection): (object: unknown) => boolean {
  const labels = unwrap(parseSelectorText(s.labelSelector ?? ''));
  const fields = (s.fieldSelector ?? '').split(',').filter((part) => part !== '');
  const namespace = resource.namespaced ? (s.namespace ?? '') : '';
  return (object) =>
    (namespace === '' || identityOf(object).namespace === namespace) &&
    matches(labels, labelsOf(object)) &&
    fields.every((part) => {
      const [, path = '', not = '', value = ''] = /^([^=!]+)(!?)==?(.*)$/.exec(part) ?? [];
      return (fieldOf(object, path) === value) === (not === '');
    });
}

function event(type: WatchEvent['type'], object: object): WatchEvent {
  return { type, object: structuredClone(object), bytes: 0 };
}

/** What a watch of a selection shows of a change: entering is ADDED, leaving is DELETED, at the change's version. */
function eventOf(change: Change, selected: (object: unknown) => boolean): WatchEvent | undefined {
  const { before, after } = change;
  const was = before !== undefined && selected(before);
  if (after !== undefined && selected(after)) return event(was ? 'MODIFIED' : 'ADDED', after);
  if (!was) return undefined;
  const metadata = { ...asRecord(asRecord(before)?.['metadata']), resourceVersion: String(change.version) };
  return event('DELETED', { ...before, metadata });
}
