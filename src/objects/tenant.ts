import type { Field } from './field.ts';
import { MAX_ID } from './host.ts';
import { labelValueFault } from './label-syntax.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';

/** A value of the segment label in one tenant. */
export interface Segment {
  /** The label's value. '' is a value; pods without the label are in segment 0, which is never listed (R38). */
  readonly name: string;
  /** From 1; 0: its pods get addresses of the shared pool. */
  readonly id: number;
}

/** A segment id that was taken from its value and goes to another when no agent means the old one any more. */
export interface ReleasedSegment {
  readonly id: number;
  /** Name of the release, which agents acknowledge (release.ts). */
  readonly release: string;
}

/** A tenant: a namespace that has, or had, pods. */
export interface Tenant {
  readonly meta: Meta;
  /** From 1; 0 while pooled, and before the controller has said anything. */
  readonly id: number;
  /** Whether all its pods get addresses of the shared pool. */
  readonly pooled: boolean;
  readonly segments: readonly Segment[];
  readonly released: readonly ReleasedSegment[];
}

function readSegment(field: Field): Segment {
  const nameField = field.get('name');
  const name = nameField.string();
  const fault = labelValueFault(name);
  if (fault !== undefined) nameField.fail(fault);
  return { name, id: field.get('id').integer(0, MAX_ID) };
}

function readSegments(field: Field): readonly Segment[] {
  const segments = field.list(readSegment);
  const ids = segments.map((segment) => segment.id).filter((id) => id !== 0);
  // Two segments with one id would be one segment to every rule: better none.
  if (new Set(ids).size < ids.length) field.fail('must not give one id to two segments');
  if (new Set(segments.map((segment) => segment.name)).size < segments.length)
    field.fail('must not name a segment twice');
  return segments;
}

function readReleased(field: Field): readonly ReleasedSegment[] {
  return field.list((item) => ({ id: item.get('id').integer(1, MAX_ID), release: item.get('release').string() }));
}

/** Parses a romana.io/v1 Tenant. Without status it has no ids yet. */
export function parseTenant(json: unknown): Parsed<Tenant> {
  return parseObject(json, { apiVersion: 'romana.io/v1', kind: 'Tenant' }, { nulls: 'error' }, (object, meta) => {
    const status = object.get('status');
    const idField = status.get('id');
    const id = idField.integer(0, MAX_ID, 0);
    const pooled = status.get('pooled').boolean(false);
    if (pooled && id !== 0) idField.fail(`must be 0 while pooled, found ${id}`);
    const released = readReleased(status.get('released'));
    return { meta, id, pooled, segments: readSegments(status.get('segments')), released };
  });
}
