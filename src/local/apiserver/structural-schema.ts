import { isObject, type JsonObject } from './api-object.ts';

const KEPT = [
  'type',
  'format',
  'enum',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'required',
] as const;

function mapValues(value: unknown, f: (schema: unknown) => unknown): JsonObject {
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, v]) => [key, f(v)])) : {};
}

/** OpenAPI 3.0 has the exclusive bounds as flags beside the bounds; JSON Schema has them as bounds. */
function fixExclusive(result: JsonObject, flag: 'exclusiveMinimum' | 'exclusiveMaximum', bound: string): void {
  if (typeof result[flag] !== 'boolean') return;
  if (result[flag] && result[bound] !== undefined) {
    result[flag] = result[bound];
    delete result[bound];
  } else delete result[flag];
}

function orNull(schema: JsonObject): JsonObject {
  if (schema['allOf'] ?? schema['anyOf'] ?? schema['oneOf'] ?? schema['not'])
    return { anyOf: [{ type: 'null' }, schema] };
  const types = [schema['type'] ?? []].flat();
  if (types.length > 0) schema['type'] = [...types, 'null'];
  if (Array.isArray(schema['enum'])) schema['enum'] = [...(schema['enum'] as unknown[]), null];
  return schema;
}

/**
 * A structural schema (OpenAPI v3 as CustomResourceDefinitions have it) as the JSON schema that says the same.
 * Extensions (`x-kubernetes-*`) are left out, except int-or-string.
 */
export function toJsonSchema(schema: unknown): JsonObject {
  if (!isObject(schema)) return {};
  const result: JsonObject = {};
  for (const key of KEPT) if (schema[key] !== undefined) result[key] = schema[key];
  fixExclusive(result, 'exclusiveMinimum', 'minimum');
  fixExclusive(result, 'exclusiveMaximum', 'maximum');
  if (schema['x-kubernetes-int-or-string'] === true) result['type'] = ['integer', 'string'];
  if (schema['properties'] !== undefined) result['properties'] = mapValues(schema['properties'], toJsonSchema);
  if (isObject(schema['additionalProperties']))
    result['additionalProperties'] = toJsonSchema(schema['additionalProperties']);
  if (isObject(schema['items'])) result['items'] = toJsonSchema(schema['items']);
  if (isObject(schema['not'])) result['not'] = toJsonSchema(schema['not']);
  for (const key of ['allOf', 'anyOf', 'oneOf'])
    if (Array.isArray(schema[key])) result[key] = schema[key].map(toJsonSchema);
  return schema['nullable'] === true ? orNull(result) : result;
}

/**
 * Takes away, in place, every field that the schema does not name (CRD documentation, "Field pruning").
 *
 * @returns the paths of what was taken away, such as `spec.plans[0].foo`
 */
export function prune(value: unknown, schema: unknown): readonly string[] {
  const pruned: string[] = [];
  pruneAt(value, schema, '', pruned);
  return pruned;
}

function pruneAt(value: unknown, schema: unknown, path: string, pruned: string[]): void {
  if (!isObject(schema)) return;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) pruneAt(item, schema['items'], `${path}[${i}]`, pruned);
    return;
  }
  if (!isObject(value)) return;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const additional = schema['additionalProperties'];
  const keepsAll = schema['x-kubernetes-preserve-unknown-fields'] === true || additional === true;
  const embedded = schema['x-kubernetes-embedded-resource'] === true;
  for (const key of Object.keys(value)) {
    const field = path === '' ? key : `${path}.${key}`;
    if (Object.hasOwn(properties, key)) pruneAt(value[key], properties[key], field, pruned);
    else if (isObject(additional)) pruneAt(value[key], additional, field, pruned);
    else if (embedded && ['apiVersion', 'kind', 'metadata'].includes(key)) continue;
    else if (!keepsAll) {
      delete value[key];
      pruned.push(field);
    }
  }
}

/** Sets, in place, what is missing and has a default; a null that may not be null counts as missing. */
export function applyDefaults(value: unknown, schema: unknown): void {
  if (!isObject(schema)) return;
  if (Array.isArray(value)) {
    for (const item of value) applyDefaults(item, schema['items']);
    return;
  }
  if (!isObject(value)) return;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  for (const [key, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    const missing = value[key] === undefined || (value[key] === null && property['nullable'] !== true);
    if (missing && property['default'] !== undefined) value[key] = structuredClone(property['default']);
    applyDefaults(value[key], property);
  }
  if (isObject(schema['additionalProperties']))
    for (const [key, item] of Object.entries(value))
      if (!Object.hasOwn(properties, key)) applyDefaults(item, schema['additionalProperties']);
}
