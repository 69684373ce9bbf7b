import { Backoff } from '../lib/backoff.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { type FieldError, formatFieldErrors, type Parsed } from '../objects/meta.ts';
import type { Resource } from '../objects/resources.ts';
import {
  ApiError,
  BadAnswerError,
  isGone,
  isNotFound,
  type KubeClient,
  ReturnedError,
  type Selection,
  UnansweredError,
  type WatchEvent,
} from './client.ts';
import { identityOf } from './json.ts';
import type { KeptCopy } from './kept-copy.ts';
import { ObjectStore, type Read, type Unreadable } from './object-store.ts';

/** Waits between tries, in milliseconds: short enough that all is caught up 2 s after the API server's return. */
export const RETRY_LIMITS = { initialMs: 50, maxMs: 1_000 };

/**
 * The most of a server's `Retry-After` that we wait out, in milliseconds, for the same reason. Up to half as much comes
 * on top by chance: all who were refused together were told the same.
 */
export const MAX_RETRY_AFTER_MS = 1_000;

/** The server ends each watch after 5 to 10 minutes, so that watches spread over the servers, as client-go has it. */
const WATCH_SECONDS = { min: 300, max: 600 };

/** A watch that lived so long has succeeded even if nothing happened in it, in milliseconds. */
const LIVED_MS = 5_000;

/** After so many refusals in a row of a watch from one version, the reflector starts again from a list. */
const MAX_REFUSALS = 5;

/** How long a kind that the server does not serve is left alone, in milliseconds; up to half as much more by chance. */
export const ABSENT_MS = 15_000;

/** What a reflector counts. */
export interface ReflectorMetrics {
  listed(resource: Resource, objects: number): void;
  received(resource: Resource, type: WatchEvent['type'], bytes: number): void;
  failed(resource: Resource): void;
}

/** What a reflector reflects, and what it needs. */
export interface ReflectorOptions<T> extends Selection {
  readonly client: Pick<KubeClient, 'list' | 'version' | 'watch'>;
  readonly resource: Resource;
  readonly parse: (json: unknown) => Parsed<T>;
  /** The server may not serve the kind at all: then there are none, until it does. */
  readonly optional?: boolean;
  /** The keys whose objects differ, once for each turn of the event loop; an unchanged object is never among them. */
  readonly onChange?: (keys: ReadonlySet<string>) => void;
  /** The version went on, by a bookmark: nothing has changed. Or everything was listed afresh, and may have. */
  readonly onVersion?: (by: 'bookmark' | 'list') => void;
  readonly clock?: Clock;
  readonly backoff?: Backoff;
  readonly log: Log;
  readonly metrics?: ReflectorMetrics;
  /** Kept for the next life of this process, which takes it while the server does not answer. */
  readonly copy?: KeptCopy;
  /** A number in [0, 1), for the length of watches and of waits. */
  readonly random?: () => number;
}

/**
 * A copy of one selection of objects that follows the API server: a paged list, then watches, each from where the
 * last one ended. Cut, silent or refused watches are resumed after a jittered back-off; a version that the server
 * forgot (410) leads to another list, which changes only what differs. What is held stays while the server is away; a
 * first list that fails is stood in for by what an earlier process held, until one succeeds.
 * (KEP-365 paging, KEP-956 bookmarks.)
 */
export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #objects: ObjectStore<T>;
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  #isAbsent = false;
  /** Where the next watch goes on from; undefined asks for a list. */
  #version: string | undefined;
  /** Whether the server may be one that has not come as far as `#version`: nothing came since it was asked for more. */
  #inDoubt = false;
  /** Ends the list or watch that is under way. */
  #interrupt = new AbortController();
  #failures = 0;
  #refusals = 0;
  #flushing = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = options.backoff ?? new Backoff(RETRY_LIMITS);
    this.#objects = new ObjectStore(options.parse);
  }

  get resource(): Resource {
    return this.#options.resource;
  }

  /** By `namespace/name`, or `name` for what is cluster scoped. Changes only between turns of the event loop. */
  get store(): ReadonlyMap<string, T> {
    return this.#objects.store;
  }

  /** The objects that the server has and we can't read, by the same keys; none of them is in `store`. */
  get invalid(): ReadonlyMap<string, readonly FieldError[]> {
    return this.#objects.invalid;
  }

  /** The version up to which `store` is complete and all was told; undefined while something is still to be. */
  get version(): string | undefined {
    return this.#flushing ? undefined : this.#version;
  }

  /** Whether the server, when last asked, did not serve this optional kind. */
  get absent(): boolean {
    return this.#isAbsent;
  }

  /** Whether the first list, or what stands in for it, is in `store`; never false again. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** Resolves when the first list is in `store`; rejects with the signal's reason when aborted before. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    if (this.#isSynced || signal === undefined) return this.#synced.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#synced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Lists afresh at once, as after a 410: what is held may be of a time that the server knows nothing of. */
  relist(): void {
    this.#version = undefined;
    this.#interrupt.abort();
  }

  /** Runs until `signal` is aborted; resolves then, and never rejects for anything that the server does. */
  async start(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#interrupt = new AbortController();
      const { signal: interrupted } = this.#interrupt;
      const error = await this.#round(AbortSignal.any([signal, interrupted]));
      if (signal.aborted) return;
      if (error === undefined || interrupted.aborted) continue;
      if (this.#saysAbsent(error)) await this.#waitAbsent(signal);
      else await this.#recover(error, signal);
    }
  }

  /** One list if needed, then one watch; undefined if it is to go on at once. */
  async #round(signal: AbortSignal): Promise<unknown> {
    const startedAt = this.#clock.now();
    try {
      if (this.#version === undefined) {
        const version = await this.#list(signal);
        signal.throwIfAborted();
        this.#version = version;
        this.#options.onVersion?.('list');
      } else if (this.#inDoubt) await this.#checkVersion(this.#version, signal);
      this.#inDoubt = true;
      const received = await this.#watch(this.#version, signal);
      if (received || this.#clock.now() - startedAt >= LIVED_MS) return undefined;
      return new UnansweredError('the API server ended the watch at once');
    } catch (error) {
      if (this.#clock.now() - startedAt >= LIVED_MS) this.#succeed();
      return error ?? new Error('the client failed without a reason');
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, namespace, labelSelector, fieldSelector, metrics, copy } = this.#options;
    const each = (json: unknown): Read<T> => {
      copy?.note(json);
      return this.#objects.read(json);
    };
    copy?.begin();
    const list = await client.list(resource, { namespace, labelSelector, fieldSelector, signal, each });
    metrics?.listed(resource, list.items.length);
    this.#isAbsent = false;
    copy?.complete(list.items.length);
    this.#replace(list.items, signal);
    return list.resourceVersion;
  }

  #replace(items: readonly Read<T>[], signal: AbortSignal): void {
    this.#hold(items);
    if (this.#isSynced) this.#flushSoon(signal);
    else this.#sync();
  }

  /** What is held is given up only when the server insists: one that starts may not serve everything yet. */
  #saysAbsent(error: unknown): boolean {
    if (this.#options.optional !== true || !isNotFound(error)) return false;
    if (!this.#isSynced) this.#recall();
    return this.#objects.store.size === 0 || this.#refusals >= MAX_REFUSALS - 1;
  }

  async #waitAbsent(signal: AbortSignal): Promise<void> {
    const { resource, log, copy, random = Math.random } = this.#options;
    if (!this.#isAbsent)
      log.info({ resource: resource.plural }, 'the API server does not serve this kind: there are none');
    this.#isAbsent = true;
    this.#version = undefined;
    this.#failures = 0;
    this.#refusals = 0;
    copy?.begin();
    copy?.complete(0);
    this.#replace([], signal);
    await this.#clock.sleep(ABSENT_MS * (1 + random() / 2), signal).catch(() => undefined);
  }

  /** What an earlier process held is what this one would hold if it had lived on. */
  #recall(): void {
    const { copy, resource, log } = this.#options;
    const objects = copy?.recall();
    if (objects === undefined) return;
    log.warn({ resource: resource.plural, objects: objects.length }, 'takes what was known before this start');
    this.#hold(objects.map((json) => this.#objects.read(json)));
    this.#sync();
  }

  #hold(items: readonly Read<T>[]): void {
    for (const problem of this.#objects.replaceAll(items)) this.#report(problem);
  }

  #sync(): void {
    this.#isSynced = true;
    this.#flush();
    this.#synced.resolve();
  }

  /** Kubernetes keeps silent, for ever, in a watch from a version that it has not reached, as after a restored backup. */
  async #checkVersion(version: string, signal: AbortSignal): Promise<void> {
    const { client, resource, namespace } = this.#options;
    const found = await client.version(resource, { namespace, signal });
    if (isOlder(found, version)) throw new WentBackError(found, version);
  }

  /** @returns whether anything came. */
  async #watch(version: string, signal: AbortSignal): Promise<boolean> {
    const { client, resource, namespace, labelSelector, fieldSelector, random = Math.random } = this.#options;
    const seconds = Math.round(WATCH_SECONDS.min + random() * (WATCH_SECONDS.max - WATCH_SECONDS.min));
    let received = false;
    for await (const event of client.watch(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      resourceVersion: version,
      allowBookmarks: true,
      timeoutSeconds: seconds,
      signal,
    })) {
      if (signal.aborted) break;
      received = true;
      this.#inDoubt = false;
      this.#succeed();
      this.#take(event, signal);
    }
    return received;
  }

  #take(event: WatchEvent, signal: AbortSignal): void {
    const { resource, metrics, copy } = this.#options;
    metrics?.received(resource, event.type, event.bytes);
    const { resourceVersion } = identityOf(event.object);
    if (event.type === 'BOOKMARK') {
      // Versions are numbers that only grow (KEP-5504), unless an older backup of etcd took over.
      if (isOlder(resourceVersion, this.#version)) throw new WentBackError(resourceVersion, this.#version);
    } else if (event.type === 'DELETED') {
      copy?.remove(event.object);
      this.#objects.remove(event.object);
    } else {
      copy?.put(event.object);
      const problem = this.#objects.put(this.#objects.read(event.object));
      if (problem !== undefined) this.#report(problem);
    }
    if (resourceVersion !== '' && !isOlder(resourceVersion, this.#version)) this.#version = resourceVersion;
    if (event.type === 'BOOKMARK') this.#options.onVersion?.('bookmark');
    this.#flushSoon(signal);
  }

  async #recover(failure: unknown, signal: AbortSignal): Promise<void> {
    const { resource, log, metrics, random = Math.random } = this.#options;
    metrics?.failed(resource);
    this.#failures += 1;
    this.#inDoubt = true;
    if (isRefusal(failure)) this.#refusals += 1;
    const relist = isGone(failure) || failure instanceof WentBackError || this.#refusals >= MAX_REFUSALS;
    if (relist) {
      this.#version = undefined;
      this.#refusals = 0;
    }
    // The server is there again: what was learnt of its absence counts no more.
    if (failure instanceof ReturnedError) this.#backoff.reset();
    const asked = failure instanceof ApiError ? Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0;
    const waitMs = Math.max(asked * (1 + random() / 2), this.#backoff.next());
    const fields = { resource: resource.plural, err: failure, failures: this.#failures, waitMs, relist };
    // One line when it begins; the ones between are for whoever looks closely.
    if (this.#failures === 1 && !isGone(failure)) log.warn(fields, 'watch of the API server failed, trying again');
    else log.debug(fields, 'watch of the API server failed, trying again');
    if (!this.#isSynced) this.#recall();
    await this.#clock.sleep(waitMs, signal).catch(() => undefined);
  }

  #succeed(): void {
    if (this.#failures > 0) {
      const { resource, log } = this.#options;
      log.info({ resource: resource.plural, failures: this.#failures }, 'watch of the API server is back');
    }
    this.#failures = 0;
    this.#refusals = 0;
    this.#backoff.reset();
  }

  #report(problem: Unreadable): void {
    const { resource, log } = this.#options;
    const fields = { resource: resource.plural, key: problem.key, errors: formatFieldErrors(problem.errors) };
    log.warn(fields, 'object of the API server cannot be read');
  }

  #flushSoon(signal: AbortSignal): void {
    if (this.#flushing || !this.#objects.hasChanged) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      if (!signal.aborted) this.#flush();
    });
  }

  #flush(): void {
    const keys = this.#objects.takeChanged();
    if (keys.size > 0) this.#options.onChange?.(keys);
  }
}

/**
 * The version that all of `reflectors` have reached, but for those whose kind is absent; undefined while one of them
 * has none, or none that is a number.
 */
export function commonVersion(
  reflectors: readonly (Pick<Reflector<unknown>, 'version'> & { readonly absent?: boolean })[],
): number | undefined {
  const present = reflectors.filter(({ absent }) => absent !== true);
  const least = Math.min(...present.map(({ version = '' }) => Number.parseInt(version, 10)));
  return Number.isNaN(least) ? undefined : least;
}

/** The server's versions went back in time. */
class WentBackError extends BadAnswerError {
  constructor(found: string, last: string | undefined) {
    super(`the API server's resource version went back from ${last} to ${found}`);
    this.name = 'WentBackError';
  }
}

function isOlder(version: string, than: string | undefined): boolean {
  if (than === undefined || !/^\d+$/.test(version) || !/^\d+$/.test(than)) return false;
  return BigInt(version) < BigInt(than);
}

/** Whether the server answered and the answer may be the same for ever; overload (429, 5xx of proxies) passes. */
function isRefusal(error: unknown): boolean {
  if (error instanceof BadAnswerError) return true;
  return error instanceof ApiError && ![429, 502, 503, 504].includes(error.status);
}
