import type { ApiObject } from './api-object.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { selects, selectsAll, type Selection } from './selection.ts';
import { StatusError, badRequest, expired } from './status-error.ts';
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

/** Reads limit, continue and the version of a list's query. @throws StatusError 400, 504 for a version to come */
export function parsePage(query: URLSearchParams, store: Store): Page {
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest('limit must be a number of objects');
  const token = query.get('continue') ?? '';
  const version = query.get('resourceVersion') ?? '';
  if (!/^\d*$/.test(version)) throw badRequest(`resourceVersion ${JSON.stringify(version)} is no number`);
  if (token !== '') return { limit, start: decodeToken(token), exactly: undefined };
  if (Number(version) > store.version)
    throw new StatusError(504, 'Timeout', `Too large resource version: ${version}, current: ${store.version}`);
  const exactly = query.get('resourceVersionMatch') === 'Exact' ? Number(version) : undefined;
  return { limit, start: undefined, exactly };
}

/** Lists objects of a kind; later pages show the state of the first. @throws StatusError 410 */
export function list(store: Store, kind: Kind, selection: Selection, page: Page): ListResult {
  const version = page.start?.version ?? page.exactly ?? store.version;
  // One more than wanted says whether there is another page.
  const limit = page.limit > 0 && selectsAll(selection) ? page.limit + 1 : undefined;
  const range = { namespace: selection.namespace, after: page.start, version, limit };
  const items: string[] = [];
  let last: Row | undefined;
  try {
    for (const row of store.list(kind.key, range)) {
      if (!selectsAll(selection) && !selects(selection, JSON.parse(row.text) as ApiObject)) continue;
      if (page.limit > 0 && items.length === page.limit) {
        const { namespace, name } = last ?? row;
        return { version, next: encodeToken({ version, namespace, name }), items };
      }
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

/** The list as a JSON text. */
export function listText(kind: Kind, { version, next, items }: ListResult): string {
  const metadata = { resourceVersion: `${version}`, ...(next === '' ? {} : { continue: next }) };
  const head = { kind: kind.listKind, apiVersion: apiVersionOf(kind), metadata };
  return `${JSON.stringify(head).slice(0, -1)},"items":[${items.join(',')}]}`;
}
