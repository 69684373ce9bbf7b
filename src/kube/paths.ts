import type { Resource } from '../objects/resources.ts';
import type { Selection } from './client.ts';

/** The URL path of a kind's collection: of one namespace, or, with none, of all. */
export function collectionPath(r: Resource, namespace?: string): string {
  const root = r.group === '' ? `/api/${r.version}` : `/apis/${r.group}/${r.version}`;
  if (!r.namespaced || namespace === undefined || namespace === '') return `${root}/${r.plural}`;
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${r.plural}`;
}

/**
 * The URL path of one object, or of its subresource.
 *
 * @throws Error if a namespaced object is named without its namespace: the path would mean something else.
 */
export function objectPath(r: Resource, name: string, namespace?: string, subresource?: string): string {
  if (name === '') throw new Error(`a ${r.kind} is asked for without a name`);
  if (r.namespaced && (namespace ?? '') === '') throw new Error(`${r.kind} ${name} is asked for without its namespace`);
  const tail = subresource === undefined ? '' : `/${subresource}`;
  return `${collectionPath(r, namespace)}/${encodeURIComponent(name)}${tail}`;
}

/** `?a=b&c=d` of the parameters that are not undefined or '', '' when there is none. */
export function queryText(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') query.set(key, String(value));
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

/** The query parameters of a selection. */
export function selectionQuery(s: Selection): { labelSelector: string | undefined; fieldSelector: string | undefined } {
  return { labelSelector: s.labelSelector, fieldSelector: s.fieldSelector };
}
