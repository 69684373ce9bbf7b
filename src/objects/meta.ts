import { err, ok, type Result } from '../lib/result.ts';
import { describe, Field, isJsonObject, type FieldError, type FieldOptions } from './field.ts';
import { isSubdomain } from './label-syntax.ts';
import { sharedLabels } from './shared-labels.ts';

export type { FieldError } from './field.ts';

/** Labels or annotations. A map, so that a key such as `constructor` or `__proto__` is a key like any other. */
export type Labels = ReadonlyMap<string, string>;

/** The part of Kubernetes' ObjectMeta that we use. */
export interface Meta {
  readonly name: string;
  /** '' for cluster scoped objects, and where the object does not say. */
  readonly namespace: string;
  /** '' where the object was not read from an API server; so is `resourceVersion`. */
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  /** RFC 3339; present while finalizers or a grace period hold the object. */
  readonly deletionTimestamp?: string;
  readonly finalizers: readonly string[];
}

/** A domain object, or every fault that was found, in document order. */
export type Parsed<T> = Result<T, readonly FieldError[]>;

/** `tenant-a/pol1`, or the name alone for what is cluster scoped. */
export function qualifiedName(meta: Pick<Meta, 'namespace' | 'name'>): string {
  return meta.namespace === '' ? meta.name : `${meta.namespace}/${meta.name}`;
}

/** All faults in one line: `spec.id: is required; metadata.name: ...`. */
export function formatFieldErrors(errors: readonly FieldError[]): string {
  return errors.map((e) => (e.field === '' ? e.message : `${e.field}: ${e.message}`)).join('; ');
}

function readName(field: Field, required: boolean): string {
  const name = required ? field.string() : field.string('');
  // Names come into paths, comments of rules and messages, so what no API server would store is refused here too.
  if (name !== '' && !isSubdomain(name)) field.fail(`must be a DNS subdomain (RFC 1123), found ${describe(name)}`);
  else if (required && field.value === '') field.fail('must not be empty');
  return name;
}

/** Reads `metadata`; a name is required. */
export function readMeta(object: Field): Meta {
  // Go writes `creationTimestamp: null`, in custom resources too, so nulls are never a fault in metadata.
  const meta = Field.root(object.get('metadata').value, { nulls: 'absent' }, 'metadata').required();
  const created = meta.get('creationTimestamp');
  const deleted = meta.get('deletionTimestamp');
  const read: Meta = {
    name: readName(meta.get('name'), true),
    namespace: readName(meta.get('namespace'), false),
    uid: meta.get('uid').string(''),
    resourceVersion: meta.get('resourceVersion').string(''),
    labels: sharedLabels(meta.get('labels').strings()),
    annotations: meta.get('annotations').strings(),
    finalizers: meta.get('finalizers').list((f) => f.string()),
    ...(created.absent ? {} : { creationTimestamp: created.string() }),
    ...(deleted.absent ? {} : { deletionTimestamp: deleted.string() }),
  };
  object.errors.push(...meta.errors);
  return read;
}

/** What an object may say of its own type; lists of the built-in kinds leave both out of their items. */
export interface TypeName {
  readonly apiVersion: string;
  readonly kind: string;
}

/**
 * Parses one object: metadata first, then what `read` takes from the rest. Never throws, whatever `json` is.
 * Unknown fields are ignored, unless `read` says otherwise.
 */
export function parseObject<T>(
  json: unknown,
  type: TypeName,
  options: FieldOptions,
  read: (object: Field, meta: Meta) => T,
): Parsed<T> {
  if (!isJsonObject(json))
    return err([{ field: '', message: `a ${type.kind} must be an object, found ${describe(json)}` }]);
  const object = Field.root(json, options);
  object.get('apiVersion').oneOf([type.apiVersion], type.apiVersion);
  object.get('kind').oneOf([type.kind], type.kind);
  const value = read(object, readMeta(object));
  return object.errors.length === 0 ? ok(value) : err(object.errors);
}
