import type { Ajv } from 'ajv';
import { arrayAt, at, isObject, objectAt, textAt, type ApiObject, type JsonObject } from './api-object.ts';
import type { Kind } from './kind.ts';
import { printerColumns } from './printer-columns.ts';
import { compileSchema } from './schema.ts';
import { applyDefaults, prune, toJsonSchema } from './structural-schema.ts';

const ROOT = ['apiVersion', 'kind', 'metadata'];

function strings(values: readonly unknown[]): string[] {
  return values.filter((v) => typeof v === 'string');
}

/**
 * The kind that a CustomResourceDefinition (apiextensions.k8s.io/v1) describes. Its rules in CEL are not applied.
 *
 * @throws Error when it is none, or serves more than one version (nothing here converts).
 */
export function customKind(crd: unknown, ajv: Ajv): Kind {
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
  const validate = compileSchema(ajv, toJsonSchema(withoutRoot(schema)));
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
    hasStatus,
    keepsStatusOnCreate: !hasStatus,
    hasGeneration: true,
    unconditionalUpdate: false,
    collectionDelete: true,
    nameRule: 'subdomain',
    selectableFields: ['metadata.name', 'metadata.namespace'],
    columns: printerColumns(version),
    schema,
    strategicMerge: false,
    unknownFields: (body) => prune(structuredClone(body), withRoot(schema)),
    prepare: (object) => prepare(object, schema),
    validate,
  };
}

/** apiVersion, kind and metadata are checked for all kinds alike. */
function withoutRoot(schema: JsonObject): JsonObject {
  const properties = objectAt(schema, 'properties');
  const kept = Object.entries(properties).filter(([key]) => !ROOT.includes(key));
  return { ...schema, properties: Object.fromEntries(kept) };
}

/** The schema with apiVersion, kind and metadata as fields that may hold anything. */
function withRoot(schema: JsonObject): JsonObject {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  return { ...schema, properties: { ...properties, ...Object.fromEntries(ROOT.map((key) => [key, true])) } };
}

function prepare(object: ApiObject, schema: JsonObject): void {
  const known = withRoot(schema);
  applyDefaults(object, known);
  prune(object, known);
}
