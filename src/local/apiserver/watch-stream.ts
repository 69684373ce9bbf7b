import type { Writable } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { selects, selectsAll, type Selection } from './selection.ts';
import { StatusError, badRequest, forbiddenOption } from './status-error.ts';
import type { Change, ChangeType, Store } from './store.ts';
import type { WatchHub } from './watch-hub.ts';

/** What a watch was asked for. */
export interface WatchRequest {
  readonly kind: Kind;
  readonly selection: Selection;
  /** Where to begin: after this version, or with what there is now (undefined). */
  readonly since: number | undefined;
  readonly bookmarks: boolean;
  /** Undefined: as long as the client wants. */
  readonly timeoutSeconds: number | undefined;
  /** What to send in place of an object, as JSON texts; undefined sends it as it is. */
  readonly show?: ((text: string) => string) | undefined;
}

/** Bounds of a watch. */
export interface WatchLimits {
  /** Bytes that may wait for a slow client before it is cut off. */
  readonly backlogBytes: number;
  readonly bookmarkMs: number;
}

/** Reads the query of a watch. @throws StatusError 400, 422, 500. */
export function parseWatch(kind: Kind, selection: Selection, query: URLSearchParams): WatchRequest {
  if (query.has('sendInitialEvents'))
    throw forbiddenOption(
      'ListOptions',
      'sendInitialEvents',
      'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
    );
  if (query.has('resourceVersionMatch'))
    throw forbiddenOption(
      'ListOptions',
      'resourceVersionMatch',
      'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  const version = query.get('resourceVersion') ?? '';
  if (!/^\d*$/.test(version))
    throw new StatusError(500, '', `resourceVersion: Invalid value: ${JSON.stringify(version)}: it is no number`);
  const timeout = Number(query.get('timeoutSeconds') ?? 0);
  if (!Number.isInteger(timeout) || timeout < 0) throw badRequest('timeoutSeconds must be a number of seconds');
  return {
    kind,
    selection,
    since: version === '' || version === '0' ? undefined : Number(version),
    bookmarks: ['true', '1'].includes(query.get('allowWatchBookmarks') ?? ''),
    timeoutSeconds: timeout === 0 ? undefined : timeout,
  };
}

/** What a change is for a watcher with a selection: entering it is ADDED, leaving it DELETED. */
export function seenAs(change: Change, selection: Selection): ChangeType | undefined {
  const before = change.previous !== undefined && selects(selection, change.previous);
  const after = change.type !== 'DELETED' && selects(selection, change.object);
  if (after) return before ? 'MODIFIED' : 'ADDED';
  return before ? 'DELETED' : undefined;
}

interface Event {
  readonly type: ChangeType;
  /** The object, as JSON text. */
  readonly text: string;
}

function lineOf({ type, text }: { type: string; text: string }, { show }: WatchRequest): string {
  return `{"type":"${type}","object":${show === undefined ? text : show(text)}}\n`;
}

function eventOf(change: Change, selection: Selection): Event | undefined {
  if (selectsAll(selection)) {
    const { namespace } = selection;
    if (namespace !== undefined && change.object.metadata.namespace !== namespace) return undefined;
    return change;
  }
  const type = seenAs(change, selection);
  if (type === undefined) return undefined;
  if (type !== 'DELETED' || change.previous === undefined) return { type, text: change.text };
  // The last state that the watcher was meant to see, under the version at which it left.
  const metadata = { ...change.previous.metadata, resourceVersion: String(change.version) };
  return { type, text: JSON.stringify({ ...change.previous, metadata }) };
}

/** Where watches get their events and time from. */
export interface WatchSources {
  readonly store: Store;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly limits: WatchLimits;
}

/**
 * Writes one watch's events to `out`, a JSON object a line, until the client goes, `signal` aborts or the time is over.
 * A version that is too old gives an ERROR event with a Status 410, as in Kubernetes.
 */
export async function streamWatch(
  request: WatchRequest,
  out: Writable,
  { store, hub, clock, limits }: WatchSources,
  signal: AbortSignal,
): Promise<void> {
  const { kind, selection } = request;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  out.once('close', end);
  signal.addEventListener('abort', end, { once: true });
  const bookmark = (): void => {
    const object = {
      kind: kind.kind,
      apiVersion: apiVersionOf(kind),
      metadata: { resourceVersion: `${store.version}` },
    };
    out.write(lineOf({ type: 'BOOKMARK', text: JSON.stringify(object) }, request));
  };
  let unsubscribe: (() => void) | undefined;
  try {
    for (const event of initialEvents(request, store)) out.write(lineOf(event, request));
    const allowed = out.writableLength + limits.backlogBytes;
    unsubscribe = hub.subscribe(kind.key, (change) => {
      const event = eventOf(change, selection);
      if (event !== undefined) out.write(lineOf(event, request));
      if (out.writableLength > allowed) out.destroy();
    });
    if (request.bookmarks && request.since === undefined) bookmark();
    const endAt = request.timeoutSeconds === undefined ? Infinity : clock.now() + request.timeoutSeconds * 1_000;
    while (!ended.signal.aborted && clock.now() < endAt) {
      await clock.sleep(Math.min(limits.bookmarkMs, endAt - clock.now()), ended.signal).catch(() => undefined);
      if (request.bookmarks && !ended.signal.aborted) bookmark();
    }
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    out.write(`{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`);
  } finally {
    unsubscribe?.();
    out.off('close', end);
    signal.removeEventListener('abort', end);
    out.end();
  }
}

function* initialEvents({ kind, selection, since }: WatchRequest, store: Store): Iterable<Event> {
  if (since !== undefined) {
    for (const change of store.changesSince(kind.key, since)) {
      const event = eventOf(change, selection);
      if (event !== undefined) yield event;
    }
    return;
  }
  for (const { text } of store.list(kind.key, { namespace: selection.namespace }))
    if (selectsAll(selection) || selects(selection, JSON.parse(text))) yield { type: 'ADDED', text };
}
