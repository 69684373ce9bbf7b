import type { IncomingMessage, ServerResponse } from 'node:http';
import { isObject, objectAt, type ApiObject } from './api-object.ts';
import { bindPod } from './binding.ts';
import { type Deletion, parseDeleteOptions } from './deletion.ts';
import { checkFields } from './field-validation.ts';
import { prefersTable, readObject, sendObject, sendText } from './http-exchange.ts';
import type { Kind } from './kind.ts';
import { list, listText, parsePage } from './list.ts';
import { cannotBeHandled } from './object-body.ts';
import type { ObjectService } from './object-service.ts';
import { readPatch } from './patch.ts';
import type { ResourcePath } from './request-path.ts';
import { parseSelection } from './selection.ts';
import {
  badPatch,
  methodNotAllowed,
  noSubresource,
  noSuchPath,
  successStatus,
  unsupportedOption,
} from './status-error.ts';
import { parseIncludeObject, tableOfList, tableOfObject, tablesOfWatch, type TableView } from './table.ts';
import { parseWatch, streamWatch, type WatchSources } from './watch-stream.ts';

/** What the handlers of resources work on. */
export interface Backend extends WatchSources {
  readonly objects: ObjectService;
  readonly deletion: Deletion;
}

/** One request for a resource, taken apart. */
export interface ResourceRequest {
  readonly kind: Kind;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Aborts when the server closes. */
  readonly signal: AbortSignal;
}

function isDryRun(query: URLSearchParams, options: string): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.some((value) => value !== 'All')) throw unsupportedOption(options, 'dryRun', values, ['All']);
  return values.length > 0;
}

/** Answers a request for a collection: list, watch, create, delete all. */
export async function handleCollection(request: ResourceRequest, backend: Backend): Promise<void> {
  const { kind, path, query, req, res } = request;
  switch (req.method ?? '') {
    case 'GET':
      if (['true', '1'].includes(query.get('watch') ?? '')) return watch(request, backend);
      return listCollection(request, backend);
    case 'POST': {
      if (kind.namespaced && path.namespace === '') throw methodNotAllowed();
      const body = await readObject(req);
      const options = 'CreateOptions';
      const dryRun = isDryRun(query, options);
      checkFields(kind, body, { query, res, options, refuse: (why) => cannotBeHandled(kind, why) });
      const made = backend.objects.create(kind, path.namespace, body, { dryRun });
      return sendObject(res, 201, made);
    }
    case 'DELETE':
      if (!kind.collectionDelete || (kind.namespaced && path.namespace === '')) throw methodNotAllowed();
      return deleteCollection(request, backend);
    default:
      throw methodNotAllowed();
  }
}

function withoutVersion(body: unknown): unknown {
  if (!isObject(body)) return body;
  const { resourceVersion: _, ...metadata } = objectAt(body, 'metadata');
  return { ...body, metadata };
}

/** Answers a request for one object or its status. */
export async function handleObject(request: ResourceRequest, backend: Backend): Promise<void> {
  const { kind, path, query, req, res } = request;
  const { namespace, name } = path;
  if (kind.namespaced && namespace === '') throw noSuchPath();
  if (path.subresource === 'binding' && kind.key === 'pods') {
    if (req.method !== 'POST') throw methodNotAllowed();
    bindPod(backend, kind, namespace, name, await readObject(req));
    return sendObject(res, 201, { ...successStatus(), code: 201 });
  }
  if (path.subresource !== '' && !(path.subresource === 'status' && kind.hasStatus))
    throw noSubresource(path.plural, path.subresource);
  const subresource = path.subresource === 'status' ? 'status' : '';
  const named = { PUT: 'UpdateOptions', PATCH: 'PatchOptions' }[req.method ?? ''] ?? 'DeleteOptions';
  const options = { subresource, dryRun: isDryRun(query, named) } as const;
  switch (req.method ?? '') {
    case 'GET':
      return showObject(request, backend);
    case 'PUT': {
      const body = await readObject(req);
      checkFields(kind, body, { query, res, options: named, refuse: (why) => cannotBeHandled(kind, why) });
      if (kind.createsOnUpdate && backend.store.get(kind.key, namespace, name) === undefined)
        return sendObject(res, 201, backend.objects.create(kind, namespace, withoutVersion(body), options));
      return sendObject(res, 200, backend.objects.replace(kind, namespace, name, body, options));
    }
    case 'PATCH': {
      const patch = await readPatch(kind, req);
      const apply = (old: ApiObject): unknown => {
        const patched = patch(old);
        checkFields(kind, patched, { query, res, options: named, refuse: (why) => badPatch(patched, why) });
        return patched;
      };
      return sendObject(res, 200, backend.objects.patch(kind, namespace, name, apply, options));
    }
    case 'DELETE':
      if (subresource !== '') throw methodNotAllowed();
      return deleteObject(request, backend);
    default:
      throw methodNotAllowed();
  }
}

/** How to show what is asked for as a Table; undefined when the client wants the objects themselves. */
function tableView({ kind, query, req }: ResourceRequest, { clock }: Backend): TableView | undefined {
  if (!prefersTable(req)) return undefined;
  return { kind, include: parseIncludeObject(query), now: () => clock.now() };
}

function showObject(request: ResourceRequest, backend: Backend): void {
  const { kind, path, res } = request;
  const view = tableView(request, backend);
  const object = backend.objects.get(kind, path.namespace, path.name);
  if (view === undefined) sendObject(res, 200, object);
  else sendText(res, 200, tableOfObject(view, object));
}

function namespaceOf({ kind, path }: ResourceRequest): string | undefined {
  return kind.namespaced && path.namespace !== '' ? path.namespace : undefined;
}

function listCollection(request: ResourceRequest, backend: Backend): void {
  const { kind, query, res } = request;
  const selection = parseSelection(kind, namespaceOf(request), query);
  const result = list(backend.store, kind, selection, parsePage(query, backend.store));
  const view = tableView(request, backend);
  sendText(res, 200, view === undefined ? listText(kind, result) : tableOfList(view, result));
}

async function watch(request: ResourceRequest, backend: Backend): Promise<void> {
  const { kind, query, res, signal } = request;
  const view = tableView(request, backend);
  const show = view === undefined ? undefined : tablesOfWatch(view);
  const wanted = { ...parseWatch(kind, parseSelection(kind, namespaceOf(request), query), query), show };
  res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  res.flushHeaders();
  await streamWatch(wanted, res, backend, signal);
}

async function deleteObject({ kind, path, query, req, res }: ResourceRequest, backend: Backend): Promise<void> {
  const options = parseDeleteOptions(await readObject(req), query);
  const { object, gone } = backend.deletion.delete(kind, path.namespace, path.name, options);
  if (!gone || kind.key === 'pods') return sendObject(res, 200, object);
  const { name, uid } = object.metadata;
  const group = kind.group === '' ? {} : { group: kind.group };
  sendObject(res, 200, successStatus({ name, ...group, kind: kind.plural, uid }));
}

async function deleteCollection(request: ResourceRequest, backend: Backend): Promise<void> {
  const { kind, query, req, res } = request;
  const options = parseDeleteOptions(await readObject(req), query);
  const selection = parseSelection(kind, namespaceOf(request), query);
  const { items, version } = list(backend.store, kind, selection, { limit: 0, start: undefined, exactly: undefined });
  for (const text of items) {
    const { namespace = '', name } = (JSON.parse(text) as ApiObject).metadata;
    backend.deletion.delete(kind, namespace, name, options);
  }
  sendText(res, 200, listText(kind, { version, items, next: '' }));
}
