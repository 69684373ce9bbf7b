import type { ApiObject, JsonObject } from './api-object.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { selects, selectsAll, type Selection } from './selection.ts';
import { StatusError, badRequest, expired, forbiddenOption, unsupportedOption } from './status-error.ts';
import type { Row, Store } from './store.ts';

/** Which part of a list is asked for. */
export interface Page {
  /** Objects at most; 0 is all. */
  readonly limit: number;
  readonly start: Token | undefined;
  /** The state at exactly this version; undefined is today's. */
  readonly exactly: number | undefined;
}

/** What a `continue` token says: go on after this object in the state of this version. */
interface Token {
  readonly version: number;
  readonly namespace: string;
  readonly name: string;
}

/** One page of a list. */
export interface ListResult {
  readonly version: number;
  /** '' on the last page. */
  readonly next: string;
  /** How many objects are on later pages; undefined where Kubernetes does not count them. */
  readonly remaining?: number | undefined;
  /** The objects as JSON text, in the order of namespace and name. */
  readonly items: readonly string[];
}

function encodeToken({ version, namespace, name }: Token): string {
  return Buffer.from(JSON.stringify([version, namespace, name])).toString('base64url');
}

function decodeToken(text: string): Token {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (Array.isArray(parsed)) {
      const [version, namespace, name] = parsed as unknown[];
      if (typeof version === 'number' && typeof namespace === 'string' && typeof name === 'string')
        return { version, namespace, name };
    }
  } catch {
    // Told below, like any other text that is no token.
  }
  throw badRequest('continue key is not valid');
}

const MATCHES = ['Exact', 'NotOlderThan', ''];

function checkMatch(match: string, version: string): void {
  const field = 'resourceVersionMatch';
  if (!MATCHES.includes(match)) throw unsupportedOption('ListOptions', field, match, MATCHES);
  if (match === '') return;
  if (version === '')
    throw forbiddenOption('ListOptions', field, 'resourceVersionMatch is forbidden unless resourceVersion is provided');
  if (match === 'Exact' && version === '0')
    throw forbiddenOption('ListOptions', field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
}

/** Reads limit, continue and the version of a list's query. @throws StatusError 400, 422, 504 for a version to come */
export function parsePage(query: URLSearchParams, store: Store): Page {
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit)) throw badRequest('limit must be a number of objects');
  const token = query.get('continue') ?? '';
  const version = query.get('resourceVersion') ?? '';
  if (!/^\d*$/.test(version)) throw badRequest(`invalid resource version: ${JSON.stringify(version)} is no number`);
  const match = query.get('resourceVersionMatch') ?? '';
  checkMatch(match, version);
  if (token !== '') return { limit, start: decodeToken(token), exactly: undefined };
  if (Number(version) > store.version)
    throw new StatusError(504, 'Timeout', `Too large resource version: ${version}, current: ${store.version}`);
  const exactly = match === 'Exact' ? Number(version) : undefined;
  return { limit, start: undefined, exactly };
}

/** Lists objects of a kind; later pages show the state of the first. @throws StatusError 410 */
export function list(store: Store, kind: Kind, selection: Selection, page: Page): ListResult {
  const version = page.start?.version ?? page.exactly ?? store.version;
  const range = { namespace: selection.namespace, after: page.start, version };
  const items: string[] = [];
  let last: Row | undefined;
  try {
    const rows = store.list(kind.key, range);
    for (const row of rows) {
      // A full page ends with its last object, even where nothing that follows is selected, as in Kubernetes.
      if (page.limit > 0 && items.length === page.limit) {
        const { namespace, name } = last ?? row;
        const remaining = selectsAll(selection) ? rows.length - items.length : undefined;
        return { version, next: encodeToken({ version, namespace, name }), remaining, items };
      }
      if (!selectsAll(selection) && !selects(selection, JSON.parse(row.text) as ApiObject)) continue;
      items.push(row.text);
      last = row;
    }
  } catch (error) {
    if (error instanceof StatusError && error.code === 410 && page.start !== undefined)
      throw expired('The provided continue parameter is too old to display a consistent list result; start again');
    throw error;
  }
  return { version, next: '', items };
}

/** The metadata of a page. */
export function listMetadata({ version, next, remaining }: ListResult): JsonObject {
  return {
    resourceVersion: `${version}`,
    ...(next === '' ? {} : { continue: next }),
    ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
  };
}

/** The list as a JSON text. */
export function listText(kind: Kind, result: ListResult): string {
  const head = { kind: kind.listKind, apiVersion: apiVersionOf(kind), metadata: listMetadata(result) };
  return `${JSON.stringify(head).slice(0, -1)},"items":[${result.items.join(',')}]}`;
}
