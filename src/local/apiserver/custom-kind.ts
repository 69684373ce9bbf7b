import { arrayAt, at, isObject, objectAt, textAt, type ApiObject, type JsonObject } from './api-object.ts';
import type { Kind } from './kind.ts';
import { OBJECT_META_SCHEMA } from './object-meta-schema.ts';
import { printerColumns } from './printer-columns.ts';
import { validateSchema } from './schema.ts';
import { applyDefaults, prune } from './structural-schema.ts';

const ROOT_SCHEMA = { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: OBJECT_META_SCHEMA };

function strings(values: readonly unknown[]): string[] {
  return values.filter((v) => typeof v === 'string');
}

/**
 * The kind that a CustomResourceDefinition (apiextensions.k8s.io/v1) describes. Its rules in CEL are not applied.
 *
 * @throws Error when it is none, or serves more than one version (nothing here converts).
 */
export function customKind(crd: unknown): Kind {
  const name = textAt(crd, 'metadata', 'name');
  if (textAt(crd, 'kind') !== 'CustomResourceDefinition' || textAt(crd, 'apiVersion') !== 'apiextensions.k8s.io/v1')
    throw new Error(`${name || 'an object'} is no CustomResourceDefinition of apiextensions.k8s.io/v1`);
  const versions = arrayAt(crd, 'spec', 'versions').filter((v) => at(v, 'served') === true);
  const [version] = versions;
  if (version === undefined || versions.length > 1)
    throw new Error(`CustomResourceDefinition ${name} serves ${versions.length} versions, must be 1`);
  const group = textAt(crd, 'spec', 'group');
  const names = objectAt(crd, 'spec', 'names');
  const plural = textAt(names, 'plural');
  const kind = textAt(names, 'kind');
  if (name !== `${plural}.${group}` || kind === '')
    throw new Error(`CustomResourceDefinition ${name} names ${plural}.${group}, kind "${kind}"`);
  const schema = objectAt(version, 'schema', 'openAPIV3Schema');
  const hasStatus = at(version, 'subresources', 'status') !== undefined;
  const checked = withoutRoot(schema);
  return {
    key: `${plural}.${group}`,
    group,
    version: textAt(version, 'name'),
    plural,
    singular: textAt(names, 'singular') || kind.toLowerCase(),
    kind,
    listKind: textAt(names, 'listKind') || `${kind}List`,
    shortNames: strings(arrayAt(names, 'shortNames')),
    categories: strings(arrayAt(names, 'categories')),
    namespaced: textAt(crd, 'spec', 'scope') === 'Namespaced',
    builtin: false,
    unconditionalUpdate: false,
    createsOnUpdate: false,
    hasStatus,
    keepsStatusOnCreate: !hasStatus,
    hasGeneration: true,
    collectionDelete: true,
    nameRule: 'subdomain',
    selectableFields: ['metadata.name', 'metadata.namespace'],
    columns: printerColumns(version),
    schema,
    unknownFields: (body) => prune(structuredClone(body), withRoot(schema)),
    prepare: (object) => prepare(object, schema),
    validate: (object) => validateSchema(object, checked),
  };
}

/** apiVersion, kind and metadata are checked for all kinds alike. */
function withoutRoot(schema: JsonObject): JsonObject {
  const properties = objectAt(schema, 'properties');
  const kept = Object.entries(properties).filter(([key]) => !Object.hasOwn(ROOT_SCHEMA, key));
  return { ...schema, properties: Object.fromEntries(kept) };
}

/** The schema with apiVersion, kind and metadata as all objects have them. */
function withRoot(schema: JsonObject): JsonObject {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  return { ...schema, properties: { ...properties, ...ROOT_SCHEMA } };
}

function prepare(object: ApiObject, schema: JsonObject): void {
  const known = withRoot(schema);
  applyDefaults(object, known);
  prune(object, known);
}
