import { isObject } from './api-object.ts';

/**
 * Takes away, in place, every field that the schema does not name (CRD documentation, "Field pruning").
 *
 * @returns the paths of what was taken away, such as `spec.plans[0].foo`
 */
export function prune(value: unknown, schema: unknown): readonly string[] {
  const pruned: string[] = [];
  pruneAt(value, schema, '', pruned);
  return pruned.toSorted();
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

/**
 * Sets, in place, what is missing and has a default; a null that may not be null counts as missing, and goes where there
 * is no default.
 */
export function applyDefaults(value: unknown, schema: unknown): void {
  if (!isObject(schema)) return;
  if (Array.isArray(value)) {
    for (const item of value) applyDefaults(item, schema['items']);
    return;
  }
  if (!isObject(value)) return;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const additional = schema['additionalProperties'];
  for (const key of Object.keys(value)) {
    const known = Object.hasOwn(properties, key) ? properties[key] : additional;
    if (value[key] === null && isObject(known) && known['nullable'] !== true) delete value[key];
  }
  for (const [key, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    if (value[key] === undefined && property['default'] !== undefined)
      value[key] = structuredClone(property['default']);
    applyDefaults(value[key], property);
  }
  if (isObject(additional))
    for (const [key, item] of Object.entries(value))
      if (!Object.hasOwn(properties, key)) applyDefaults(item, additional);
}
