import { isObject, type JsonObject } from './api-object.ts';

/** Applies a JSON merge patch (RFC 7386); neither argument is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return structuredClone(patch);
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else
      Object.defineProperty(result, key, {
        value: mergePatch(result[key], value),
        writable: true,
        enumerable: true,
        configurable: true,
      });
  }
  return result;
}
