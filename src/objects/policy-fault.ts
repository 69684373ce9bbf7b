import { err } from '../lib/result.ts';
import { describe, isJsonObject, type FieldError } from './field.ts';
import type { Parsed } from './meta.ts';

/** A fault in a policy. */
export interface PolicyFault extends FieldError {
  /**
   * invalid: the API server refuses it; where one that is newer did not, it fails closed like `unknown`.
   * legacy: the API server refuses it in new objects, but what stands in old ones has a clear meaning.
   * unknown: the API server takes it, and we can't tell what it means, or can't enforce it: it fails closed (R25).
   */
  readonly kind: 'invalid' | 'legacy' | 'unknown';
}

/** A policy of an API whose objects are read whatever is wrong with them, so that they can fail closed. */
export interface Faulty {
  /** In document order, those that were found first. */
  readonly faults: readonly PolicyFault[];
}

/** `errors` as faults of one kind. */
export function faultsOf(kind: PolicyFault['kind'], errors: readonly FieldError[]): readonly PolicyFault[] {
  return errors.map(({ field, message }) => ({ field, message, kind }));
}

/** The faults because of which some of a policy fails closed. */
export function closing(faults: readonly PolicyFault[]): readonly PolicyFault[] {
  return faults.filter(({ kind }) => kind !== 'legacy');
}

/** The outcome of parsing a policy that somebody wrote: refused if the API server would refuse it. */
export function refuseInvalid<T extends Faulty>(parsed: Parsed<T>): Parsed<T> {
  if (!parsed.ok) return parsed;
  const refused = parsed.value.faults.filter(({ kind }) => kind !== 'unknown');
  return refused.length === 0 ? parsed : err(refused.map(({ field, message }) => ({ field, message })));
}

/** The fields that an object may have, or the shape of the items of a list; `true` is whatever it is. */
export type Shape = true | { readonly [field: string]: Shape } | readonly [Shape];

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

/** The shape of a LabelSelector of meta/v1. */
export const SELECTOR_SHAPE: Shape = {
  matchLabels: true,
  matchExpressions: [{ key: true, operator: true, values: true }],
};

/** The fields in `value` that `shape` does not have, with their paths below `path`. A wrong type is no such fault. */
export function unknownFields(value: unknown, shape: Shape, path = ''): readonly PolicyFault[] {
  if (shape === true) return [];
  if (isList(shape)) {
    const [item] = shape;
    return Array.isArray(value) ? value.flatMap((v: unknown, i) => unknownFields(v, item, `${path}[${i}]`)) : [];
  }
  if (!isJsonObject(value)) return [];
  return Object.keys(value).flatMap((key) => {
    const field = path === '' ? key : `${path}.${key}`;
    const inner = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (inner !== undefined) return unknownFields(value[key], inner, field);
    return [{ field, message: 'unknown field', kind: 'unknown' as const }];
  });
}

/** `Invalid value: 70000: must be between 1 and 65535, inclusive`, as the API server says it. */
export function invalidValue(value: unknown, why: string): string {
  return `Invalid value: ${describe(value)}: ${why}`;
}

/** `Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`, as the API server says it. */
export function unsupportedValue(value: unknown, supported: readonly string[]): string {
  return `Unsupported value: ${describe(value)}: supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}`;
}
