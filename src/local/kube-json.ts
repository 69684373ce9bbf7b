import { isJsonObject, type JsonObject } from '../objects/field.ts';

/** The value at a path of keys in a JSON document; undefined when any of them is missing. */
export function at(json: unknown, ...path: readonly string[]): unknown {
  let value = json;
  for (const key of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** The string at a path, '' when there is none. */
export function textAt(json: unknown, ...path: readonly string[]): string {
  const value = at(json, ...path);
  return typeof value === 'string' ? value : '';
}

/** The objects of the list at a path. */
export function objectsAt(json: unknown, ...path: readonly string[]): readonly JsonObject[] {
  const value = at(json, ...path);
  return Array.isArray(value) ? (value as readonly unknown[]).filter(isJsonObject) : [];
}

/** The strings of the list at a path; undefined when there is no list. */
export function stringsAt(json: unknown, ...path: readonly string[]): readonly string[] | undefined {
  const value = at(json, ...path);
  if (!Array.isArray(value)) return undefined;
  return (value as readonly unknown[]).filter((item) => typeof item === 'string');
}

/** metadata.name. */
export function nameOf(json: unknown): string {
  return textAt(json, 'metadata', 'name');
}

/** One entry of status.conditions. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** The condition of that type. */
export function conditionOf(json: unknown, type: string): Condition | undefined {
  const found = objectsAt(json, 'status', 'conditions').find((condition) => condition['type'] === type);
  if (found === undefined) return undefined;
  return { type, status: textAt(found, 'status'), reason: textAt(found, 'reason'), message: textAt(found, 'message') };
}
