import type { IncomingMessage, ServerResponse } from 'node:http';
import { DEMO_POLICIES } from '../../objects/resources.ts';
import { isLegacyDemo, LEGACY_DEMO_API_VERSION, toLegacy, toModern } from '../../objects/demo-policy.ts';
import type { JsonObject } from './api-object.ts';
import { parseDeleteOptions } from './deletion.ts';
import { readObject, requireJson, sendObject } from './http-exchange.ts';
import type { Kind, KindRegistry } from './kind.ts';
import { list, parsePage } from './list.ts';
import type { Backend } from './resource-handler.ts';
import { parseSelection } from './selection.ts';
import { badRequest, methodNotAllowed, noSuchPath, successStatus } from './status-error.ts';

const PLURAL = 'networkpolicys';
const DISCOVERY: JsonObject = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: LEGACY_DEMO_API_VERSION,
  resources: [
    {
      name: PLURAL,
      singularName: 'networkpolicy',
      namespaced: true,
      kind: 'NetworkPolicy',
      verbs: ['create', 'delete', 'get', 'list'],
    },
  ],
};

/** One request at a URL of 2016. */
export interface LegacyRequest {
  /** What follows `/apis/romana.io/demo/v1`. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** What follows `/apis/romana.io/demo/v1` in a path, or undefined for other paths. */
export function legacyRest(segments: readonly string[]): readonly string[] | undefined {
  const [root, group, name, version, ...rest] = segments;
  return root === 'apis' && group === 'romana.io' && name === 'demo' && version === 'v1' ? rest : undefined;
}

/**
 * Answers at the URLs of the third-party resource of 2016: the same objects as today's demo policies, in the shape
 * that they had then. Without watch, patch and replacement.
 */
export async function handleLegacy(request: LegacyRequest, registry: KindRegistry, backend: Backend): Promise<void> {
  const { rest, query, req, res } = request;
  const kind = registry.find(DEMO_POLICIES.group, DEMO_POLICIES.version, DEMO_POLICIES.plural);
  if (kind === undefined) throw noSuchPath();
  requireJson(req);
  const [first, namespace = '', plural, name, ...more] = rest;
  if (first === undefined && req.method === 'GET') return sendObject(res, 200, DISCOVERY);
  const everywhere = first === PLURAL && rest.length === 1;
  if (!everywhere && (first !== 'namespaces' || plural !== PLURAL || more.length > 0)) throw noSuchPath();
  if (name !== undefined) return handleOne(request, kind, namespace, name, backend);
  if (req.method === 'GET')
    return sendObject(res, 200, listLegacy(kind, everywhere ? undefined : namespace, query, backend));
  if (req.method !== 'POST' || everywhere) throw methodNotAllowed();
  const body = await readObject(req, true);
  if (!isLegacyDemo(body)) throw badRequest(`apiVersion (or groupVersion) must be ${LEGACY_DEMO_API_VERSION} here`);
  sendObject(res, 201, toLegacy(backend.objects.create(kind, namespace, toModern(body), { dryRun: false })));
}

function listLegacy(kind: Kind, namespace: string | undefined, query: URLSearchParams, backend: Backend): JsonObject {
  if (query.has('watch')) throw methodNotAllowed();
  const selection = parseSelection(kind, namespace, query);
  const { items, version, next } = list(backend.store, kind, selection, parsePage(query, backend.store));
  return {
    kind: 'NetworkPolicyList',
    apiVersion: LEGACY_DEMO_API_VERSION,
    metadata: { resourceVersion: `${version}`, ...(next === '' ? {} : { continue: next }) },
    items: items.map((text) => toLegacy(JSON.parse(text) as JsonObject)),
  };
}

async function handleOne(
  { query, req, res }: LegacyRequest,
  kind: Kind,
  namespace: string,
  name: string,
  backend: Backend,
): Promise<void> {
  if (req.method === 'GET') return sendObject(res, 200, toLegacy(backend.objects.get(kind, namespace, name)));
  if (req.method !== 'DELETE') throw methodNotAllowed();
  const options = parseDeleteOptions(await readObject(req, true), query);
  const { object, gone } = backend.deletion.delete(kind, namespace, name, options);
  sendObject(res, 200, gone ? successStatus({ name, kind: PLURAL, uid: object.metadata.uid }) : toLegacy(object));
}
