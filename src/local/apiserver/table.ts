import type { ApiObject, JsonObject } from './api-object.ts';
import type { Kind } from './kind.ts';
import { listMetadata, type ListResult } from './list.ts';
import { badRequest } from './status-error.ts';

/** What of its object each row of a table carries (meta/v1 TableOptions). */
type IncludeObject = 'None' | 'Metadata' | 'Object';

/** How to make tables of objects. */
export interface TableView {
  readonly kind: Kind;
  readonly include: IncludeObject;
  /** ms since 1970, for ages. */
  readonly now: () => number;
}

/** Reads `includeObject` of a query. @throws StatusError 400 */
export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') || 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

function definitions(kind: Kind): JsonObject[] {
  return kind.columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

function row({ kind, include, now }: TableView, object: ApiObject): JsonObject {
  const time = now();
  const cells = kind.columns.map((column) => column.cell(object, time));
  if (include === 'None') return { cells, object: null };
  const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
  return { cells, object: include === 'Object' ? object : partial };
}

function table(columns: JsonObject[], metadata: JsonObject, rows: JsonObject[]): string {
  const head = { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata };
  return JSON.stringify({ ...head, columnDefinitions: columns, rows });
}

/** A page of a list as a Table's JSON text. */
export function tableOfList(view: TableView, result: ListResult): string {
  const rows = result.items.map((text) => row(view, JSON.parse(text) as ApiObject));
  return table(definitions(view.kind), listMetadata(result), rows);
}

/** One object as a Table's JSON text. */
export function tableOfObject(view: TableView, object: ApiObject): string {
  const { resourceVersion } = object.metadata;
  return table(definitions(view.kind), { resourceVersion }, [row(view, object)]);
}

/**
 * Makes a Table of each object of a watch. Only the first one names the columns, which tells kubectl to print its
 * headings once. A bookmark, which has no name, becomes a Table without rows.
 */
export function tablesOfWatch(view: TableView): (text: string) => string {
  let columns = definitions(view.kind);
  return (text) => {
    const object = JSON.parse(text) as ApiObject;
    const { name, resourceVersion } = object.metadata;
    if ((name as string | undefined) === undefined) return table([], { resourceVersion }, []);
    const made = table(columns, { resourceVersion }, [row(view, object)]);
    columns = [];
    return made;
  };
}
