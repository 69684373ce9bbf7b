import { createHash } from 'node:crypto';
import { ensureObject, isObject, objectAt, type JsonObject } from './api-object.ts';
import { apiVersionOf, type Kind, type KindRegistry } from './kind.ts';
import { OBJECT_META_SCHEMA } from './object-meta-schema.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const SCHEMAS = '#/components/schemas/';

function text(description: string): JsonObject {
  return { description, type: 'string' };
}

/** A schema without what only this server reads in it. */
function openApiSchema(schema: unknown): JsonObject {
  if (!isObject(schema)) return {};
  const result: JsonObject = { ...schema };
  delete result['x-romana-says'];
  if (isObject(result['properties']))
    result['properties'] = Object.fromEntries(
      Object.entries(result['properties']).map(([key, value]) => [key, openApiSchema(value)]),
    );
  for (const key of ['items', 'additionalProperties'])
    if (isObject(result[key])) result[key] = openApiSchema(result[key]);
  return result;
}

function groupVersionKind({ group, version, kind }: Kind): JsonObject {
  return { group, version, kind };
}

function schemaName({ group, version, kind }: Kind): string {
  if (group === '') return `io.k8s.api.core.${version}.${kind}`;
  const reversed = group.split('.').toReversed().join('.');
  return group.endsWith('.k8s.io')
    ? `io.k8s.api.${group.split('.')[0] ?? ''}.${version}.${kind}`
    : `${reversed}.${version}.${kind}`;
}

function kindSchema(kind: Kind): JsonObject {
  const schema = openApiSchema(kind.schema);
  const properties = {
    apiVersion: text(`Always ${apiVersionOf(kind)}`),
    kind: text(`Always ${kind.kind}`),
    metadata: {
      description: "The object's name, labels and what else all objects have",
      allOf: [{ $ref: SCHEMAS + META }],
    },
  };
  return {
    ...schema,
    type: 'object',
    properties: { ...objectAt(schema, 'properties'), ...properties },
    'x-kubernetes-group-version-kind': [groupVersionKind(kind)],
  };
}

function query(name: string, description: string): JsonObject {
  return { name, in: 'query', description, schema: { type: 'string', uniqueItems: true } };
}

const WRITE_PARAMETERS = [
  query('dryRun', 'All: everything but the write itself'),
  query('fieldValidation', 'Ignore, Warn or Strict: what to do about fields that the kind does not know'),
];
const LIST_PARAMETERS = ['labelSelector', 'fieldSelector', 'limit', 'continue', 'resourceVersion', 'watch'].map(
  (name) => query(name, 'Kubernetes API concepts, "Resource Operations"'),
);

type Action = 'list' | 'post' | 'deletecollection' | 'get' | 'put' | 'patch' | 'delete';

const WRITING: ReadonlySet<Action> = new Set(['post', 'put', 'patch']);
const METHOD: Partial<Record<Action, string>> = { list: 'get', deletecollection: 'delete' };
/*
 * Strategic merge is not named although built-in kinds take it: kubectl would then make its patches by the merge keys in
 * these documents, which do not describe every list. Without, it goes by the merge keys that it knows itself.
 */
const PATCH_TYPES = ['application/merge-patch+json'];

function content(types: readonly string[], schema: JsonObject): JsonObject {
  return { content: Object.fromEntries(types.map((type) => [type, { schema }])) };
}

function operation(kind: Kind, action: Action, scope: string): JsonObject {
  const schema = { $ref: SCHEMAS + schemaName(kind) };
  const answer = action === 'list' || action === 'deletecollection' ? { type: 'object' } : schema;
  const types = action === 'patch' ? PATCH_TYPES : ['application/json'];
  const body = action === 'patch' ? { type: 'object' } : schema;
  return {
    operationId: `${action}${scope}${kind.kind}`,
    responses: { 200: { description: 'OK', ...content(['application/json'], answer) } },
    parameters: WRITING.has(action) ? WRITE_PARAMETERS : action === 'list' ? LIST_PARAMETERS : [],
    ...(WRITING.has(action) ? { requestBody: { required: true, ...content(types, body) } } : {}),
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': groupVersionKind(kind),
  };
}

function pathItem(kind: Kind, actions: readonly Action[], scope: string): JsonObject {
  return Object.fromEntries(actions.map((action) => [METHOD[action] ?? action, operation(kind, action, scope)]));
}

function pathsOf(kind: Kind, root: string): JsonObject {
  const own = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
  const deletion: Action[] = kind.collectionDelete ? ['deletecollection'] : [];
  const scope = kind.namespaced ? 'Namespaced' : '';
  return {
    ...(kind.namespaced ? { [`${root}/${kind.plural}`]: pathItem(kind, ['list'], 'AllNamespaces') } : {}),
    [own]: pathItem(kind, ['list', 'post', ...deletion], scope),
    [`${own}/{name}`]: pathItem(kind, ['get', 'put', 'patch', 'delete'], scope),
  };
}

function documentOf(kinds: readonly Kind[], root: string): JsonObject {
  const schemas: JsonObject = { [META]: OBJECT_META_SCHEMA };
  const paths: JsonObject = {};
  for (const kind of kinds) {
    schemas[schemaName(kind)] = kindSchema(kind);
    Object.assign(paths, pathsOf(kind, root));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes, as embedded in Romana', version: 'v1.34.0' },
    paths,
    components: { schemas },
  };
}

/**
 * The OpenAPI v3 documents of a server, a group version each, under their paths without the leading slash; the one at
 * `openapi/v3` lists the others (Kubernetes API concepts, "OpenAPI V3").
 */
export function openApiDocuments(registry: KindRegistry): ReadonlyMap<string, JsonObject> {
  const index: JsonObject = { paths: {} };
  const documents = new Map([['openapi/v3', index]]);
  for (const groupVersion of new Set(registry.all.map(apiVersionOf))) {
    const kinds = registry.all.filter((kind) => apiVersionOf(kind) === groupVersion);
    const root = groupVersion.includes('/') ? `apis/${groupVersion}` : `api/${groupVersion}`;
    const document = documentOf(kinds, `/${root}`);
    documents.set(`openapi/v3/${root}`, document);
    const hash = createHash('sha256').update(JSON.stringify(document)).digest('hex').slice(0, 32);
    ensureObject(index, 'paths')[root] = { serverRelativeURL: `/openapi/v3/${root}?hash=${hash}` };
  }
  return documents;
}
