import { isDeepStrictEqual } from 'node:util';
import { isObject, type JsonObject } from './api-object.ts';
import { badRequest } from './status-error.ts';

/** Lists of a container that merge by a key. */
const CONTAINER_KEYS: readonly [string, string][] = [
  ['env', 'name'],
  ['ports', 'containerPort'],
  ['volumeMounts', 'mountPath'],
  ['volumeDevices', 'devicePath'],
];
const CONTAINER_LISTS = ['containers', 'initContainers', 'ephemeralContainers'];

/**
 * The lists of the built-in kinds that merge by a key (Kubernetes API reference, "patch strategy: merge"): the field
 * that holds them and their own name, with the key in their items.
 */
const MERGE_KEYS: ReadonlyMap<string, string> = new Map([
  ...CONTAINER_LISTS.map((list): [string, string] => [`spec.${list}`, 'name']),
  ...CONTAINER_LISTS.flatMap((list) => CONTAINER_KEYS.map(([name, key]): [string, string] => [`${list}.${name}`, key])),
  ['spec.volumes', 'name'],
  ['spec.imagePullSecrets', 'name'],
  ['spec.resourceClaims', 'name'],
  ['spec.schedulingGates', 'name'],
  ['spec.hostAliases', 'ip'],
  ['spec.topologySpreadConstraints', 'topologyKey'],
  ['status.conditions', 'type'],
  ['status.addresses', 'type'],
  ['status.podIPs', 'ip'],
  ['status.hostIPs', 'ip'],
  ['metadata.ownerReferences', 'uid'],
]);
/** Lists of plain values to which a patch adds. */
const MERGED_SETS: ReadonlySet<string> = new Set(['metadata.finalizers', 'spec.podCIDRs']);

const DELETE_FROM = '$deleteFromPrimitiveList/';
const ORDER = '$setElementOrder/';

function listOf(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  throw badRequest(`the patch's ${field} must be a list`);
}

function objectsOf(value: unknown, field: string): readonly JsonObject[] {
  return listOf(value, field).map((item) => {
    if (isObject(item)) return item;
    throw badRequest(`the patch's ${field} must be a list of objects`);
  });
}

function mergeKeyed(old: unknown, patch: unknown, field: string, key: string): unknown[] {
  // What lies in an element belongs to the list by its own name, wherever the list is.
  const name = field.slice(field.indexOf('.') + 1);
  const changes = objectsOf(patch, field);
  const plain = changes.filter((change) => change['$patch'] === undefined || change['$patch'] === 'merge');
  if (changes.some((change) => change['$patch'] === 'replace')) return plain.map((item) => mergeObject({}, item, name));
  const items = Array.isArray(old) ? [...(old as unknown[])] : [];
  for (const change of changes) {
    const id = change[key];
    if (id === undefined) throw badRequest(`the patch's ${field} has an element without ${key}, by which it merges`);
    const at = items.findIndex((item) => isObject(item) && isDeepStrictEqual(item[key], id));
    const remove = change['$patch'] === 'delete';
    if (remove && at !== -1) items.splice(at, 1);
    else if (!remove && at === -1) items.push(mergeObject({}, change, name));
    else if (!remove) items[at] = mergeObject(items[at], change, name);
  }
  return inOrder(items, changes, key, old);
}

function mergeValue(old: unknown, patch: unknown, parent: string, name: string): unknown {
  if (isObject(patch)) return mergeObject(old, patch, name);
  const field = `${parent}.${name}`;
  if (!Array.isArray(patch)) return patch;
  const key = MERGE_KEYS.get(field);
  if (key !== undefined) return mergeKeyed(old, patch, field, key);
  if (!MERGED_SETS.has(field)) return patch;
  const before = Array.isArray(old) ? (old as unknown[]) : [];
  const merged = [...before, ...(patch as unknown[]).filter((value) => !before.includes(value))];
  return inOrder(merged, patch, undefined, before);
}

/**
 * Puts what `order` names in its order; what it does not name stays before what it preceded (strategicpatch,
 * `mergeSortedSlice`).
 *
 * @param key what identifies the items of lists that merge by it.
 * @param old the list as it was.
 */
function inOrder(
  items: readonly unknown[],
  order: readonly unknown[],
  key: string | undefined,
  old: unknown,
): unknown[] {
  const idOf = (value: unknown): unknown => (key !== undefined && isObject(value) ? value[key] : value);
  const rankIn = (list: readonly unknown[], item: unknown): number =>
    list.findIndex((other) => isDeepStrictEqual(idOf(other), idOf(item)));
  const before: readonly unknown[] = Array.isArray(old) ? old : [];
  const named = items
    .filter((item) => rankIn(order, item) !== -1)
    .toSorted((a, b) => rankIn(order, a) - rankIn(order, b));
  const others = items.filter((item) => rankIn(order, item) === -1);
  const result: unknown[] = [];
  let next = 0;
  for (const item of named) {
    const place = rankIn(before, item);
    for (; next < others.length && rankIn(before, others[next]) < place; next += 1) result.push(others[next]);
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

function applyDirective(
  result: Map<string, unknown>,
  directive: string,
  value: unknown,
  { parent, old }: { parent: string; old: unknown },
): void {
  const name = directive.slice(directive.indexOf('/') + 1);
  const list = result.get(name);
  if (!Array.isArray(list)) return;
  const items = list as unknown[];
  const given = listOf(value, directive);
  if (directive.startsWith(DELETE_FROM))
    result.set(
      name,
      items.filter((item) => !given.includes(item)),
    );
  else result.set(name, inOrder(items, given, MERGE_KEYS.get(`${parent}.${name}`), isObject(old) ? old[name] : []));
}

function mergeObject(old: unknown, patch: JsonObject, parent: string): JsonObject | undefined {
  const { $patch: mode, $retainKeys: retained, ...changes } = patch;
  if (mode === 'delete') return undefined;
  if (mode !== undefined && mode !== 'merge' && mode !== 'replace')
    throw badRequest(`the patch has the directive $patch: ${JSON.stringify(mode)}, must be merge, replace or delete`);
  const result = new Map(Object.entries(isObject(old) && mode !== 'replace' ? old : {}));
  if (retained !== undefined) {
    const kept = listOf(retained, '$retainKeys');
    for (const key of result.keys()) if (!kept.includes(key)) result.delete(key);
  }
  const directives = Object.keys(changes).filter((key) => key.startsWith(DELETE_FROM) || key.startsWith(ORDER));
  for (const [key, value] of Object.entries(changes)) {
    if (directives.includes(key)) continue;
    const next = value === null ? undefined : mergeValue(result.get(key), value, parent, key);
    if (next === undefined) result.delete(key);
    else result.set(key, next);
  }
  for (const key of directives.toSorted()) applyDirective(result, key, changes[key], { parent, old });
  return Object.fromEntries(result);
}

/**
 * `target` after a strategic merge patch (Kubernetes, "Update API Objects in Place Using kubectl patch"): objects
 * merge, null removes, the lists that have a key merge by it, all other lists are replaced; with the directives
 * `$patch`, `$retainKeys`, `$deleteFromPrimitiveList` and `$setElementOrder`. Knows the lists of the built-in kinds.
 *
 * @throws StatusError 400 for a patch that makes no sense
 */
export function strategicMerge(target: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(target, patch, '') ?? {};
}
