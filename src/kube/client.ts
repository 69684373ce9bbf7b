import type { Resource } from '../objects/resources.ts';

/** What a list or a watch selects. */
export interface Selection {
  /** Absent or '' selects all namespaces. */
  readonly namespace?: string | undefined;
  /** As in a URL: `app=nginx,tier in (a,b)`. */
  readonly labelSelector?: string | undefined;
  /** As in a URL: `spec.nodeName=minion1`. */
  readonly fieldSelector?: string | undefined;
}

/** Options of `KubeClient.list`. */
export interface ListOptions<T = unknown> extends Selection {
  readonly signal?: AbortSignal | undefined;
  /** What to keep of each object in its place: it is called page by page, so that not all are in memory in full. */
  readonly each?: ((object: unknown) => T) | undefined;
}

/** All the objects that a selection held at one resource version. */
export interface ObjectList<T = unknown> {
  readonly items: readonly T[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

/** Options of `KubeClient.watch`. */
export interface WatchOptions extends Selection {
  /** Changes after this version; absent: from the server's now, all present objects first as ADDED. */
  readonly resourceVersion?: string | undefined;
  readonly allowBookmarks?: boolean | undefined;
  /** After so many seconds the server ends the watch. */
  readonly timeoutSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One line of a watch. The server's ERROR lines are thrown as `ApiError`. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: unknown;
  /** How many bytes it took on the wire, without TLS and HTTP; 0 where there is no wire. */
  readonly bytes: number;
}

/** Options of `KubeClient.patch`. */
export interface PatchOptions {
  readonly namespace?: string | undefined;
  /** For example `status`. */
  readonly subresource?: string | undefined;
}

/** Options of `KubeClient.replace`. */
export interface ReplaceOptions {
  readonly subresource?: string | undefined;
}

/** Options of `KubeClient.delete`; uid and resourceVersion are preconditions (409 when they do not hold). */
export interface DeleteOptions {
  readonly namespace?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** One cause of a Status, such as a field that is wrong. */
export interface StatusCause {
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly field?: string | undefined;
}

/** The details of a Kubernetes Status. */
export interface StatusDetails {
  readonly name?: string | undefined;
  readonly kind?: string | undefined;
  readonly causes?: readonly StatusCause[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/**
 * A Kubernetes API server. Objects go in and out as JSON values; `src/objects` turns them into domain types.
 * Every call fails with `ApiError` when the server answered and refused, with `BadAnswerError` when the answer is not
 * what Kubernetes answers, with `UnansweredError` when there was none, or not all of it.
 */
export interface KubeClient {
  /** All objects of the selection, fetched in pages. */
  list<T = unknown>(resource: Resource, options?: ListOptions<T>): Promise<ObjectList<T>>;
  /** The version that a list would have now, at the cost of one object at most. */
  version(resource: Resource, options?: Pick<ListOptions, 'namespace' | 'signal'>): Promise<string>;
  get(resource: Resource, name: string, namespace?: string): Promise<unknown>;
  /** Creates `object`; the namespace is `namespace`, else the object's own. Returns it as stored. */
  create(resource: Resource, object: object, namespace?: string): Promise<unknown>;
  /** Replaces the object of that name; its metadata.resourceVersion, when there, must be the stored one (409). */
  replace(resource: Resource, object: object, options?: ReplaceOptions): Promise<unknown>;
  /** Applies a JSON merge patch (RFC 7396); a metadata.resourceVersion in it is a precondition (409). */
  patch(resource: Resource, name: string, mergePatch: object, options?: PatchOptions): Promise<unknown>;
  delete(resource: Resource, name: string, options?: DeleteOptions): Promise<unknown>;
  /** Changes as they happen. Ends when the server ends it; throws when it is cut, silent too long or unreadable. */
  watch(resource: Resource, options?: WatchOptions): AsyncIterable<WatchEvent>;
  /** A request by path (with query), for what has no method here. The answer is JSON, or a string if it is not. */
  raw(method: string, path: string, body?: object): Promise<unknown>;
}

/** What the API server answered when it refused: a Kubernetes Status. */
export class ApiError extends Error {
  /** HTTP status, for example 409. */
  readonly status: number;
  /** Machine readable reason, for example `Conflict`; '' if the server gave none. */
  readonly reason: string;
  readonly details: StatusDetails;
  /** How long the server asks to wait before the next try, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(init: {
    status: number;
    reason?: string | undefined;
    message: string;
    details?: StatusDetails | undefined;
    retryAfterMs?: number | undefined;
  }) {
    super(init.message);
    this.name = 'ApiError';
    this.status = init.status;
    this.reason = init.reason ?? '';
    this.details = init.details ?? {};
    const fromDetails = this.details.retryAfterSeconds;
    this.retryAfterMs = init.retryAfterMs ?? (fromDetails === undefined ? undefined : fromDetails * 1000);
  }
}

/** Whether `error` is the API server's answer with this HTTP status. */
export function isStatus(error: unknown, status: number): error is ApiError {
  return error instanceof ApiError && error.status === status;
}

/** Whether the object is not there (404). */
export function isNotFound(error: unknown): error is ApiError {
  return isStatus(error, 404);
}

/** Whether another writer was first, or the name is taken (409). */
export function isConflict(error: unknown): error is ApiError {
  return isStatus(error, 409);
}

/** Whether the resource version is too old to go on from (410). */
export function isGone(error: unknown): error is ApiError {
  return isStatus(error, 410);
}

/** The API server answered with something that is not what Kubernetes answers: no JSON, no list, no watch event. */
export class BadAnswerError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BadAnswerError';
  }
}

/** The API server could not be reached, did not answer in time, or its answer was cut; the cause says how. */
export class UnansweredError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnansweredError';
  }
}

/** The API server was silent and is back: an exchange that had begun before was ended, to be begun anew at once. */
export class ReturnedError extends UnansweredError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReturnedError';
  }
}

/** Whether `error` says all about itself in its message: what an API server, or the way to it, did to a request. */
export function isFailureOfServer(error: unknown): error is Error {
  return error instanceof ApiError || error instanceof BadAnswerError || error instanceof UnansweredError;
}
