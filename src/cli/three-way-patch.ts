import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject } from '../objects/field.ts';

/**
 * Whether `live` already says what `wanted` says, whatever a server added: fields beside those wanted, and items
 * behind those wanted.
 */
export function covers(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(live) && live.length >= wanted.length && wanted.every((item, i) => covers(live[i], item));
  }
  if (isJsonObject(wanted)) {
    return isJsonObject(live) && Object.keys(wanted).every((key) => covers(live[key], wanted[key]));
  }
  return isDeepStrictEqual(live, wanted);
}

function valuePatch(before: unknown, wanted: unknown, live: unknown): unknown {
  if (isJsonObject(wanted) && isJsonObject(live)) {
    return threeWayPatch(isJsonObject(before) ? before : {}, wanted, live);
  }
  // A list counts as whole. Where the user did not change it, what a server added to it stays.
  if (Array.isArray(wanted) && isDeepStrictEqual(before, wanted) && covers(live, wanted)) return undefined;
  return isDeepStrictEqual(live, wanted) ? undefined : wanted;
}

/**
 * The JSON merge patch (RFC 7396) that makes `live` what `wanted` says: it sets what is wanted and not there, removes
 * what was wanted before and is no longer, and leaves alone what others added. Undefined when there is nothing to do.
 * (What `kubectl apply` does for kinds without strategic merge.)
 */
export function threeWayPatch(before: JsonObject, wanted: JsonObject, live: JsonObject): JsonObject | undefined {
  // By way of a map, since a key may be `__proto__`.
  const patch = new Map<string, unknown>();
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(wanted, key) && Object.hasOwn(live, key)) patch.set(key, null);
  }
  for (const [key, value] of Object.entries(wanted)) {
    const change = value === null ? nullPatch(live, key) : valuePatch(before[key], value, live[key]);
    if (change !== undefined) patch.set(key, change);
  }
  return patch.size === 0 ? undefined : Object.fromEntries(patch);
}

function nullPatch(live: JsonObject, key: string): null | undefined {
  return Object.hasOwn(live, key) ? null : undefined;
}
