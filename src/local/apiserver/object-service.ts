import { randomInt, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../lib/clock.ts';
import { arrayAt, type JsonObject, textAt, timestamp, type ApiObject, type ObjectMeta } from './api-object.ts';
import { contentFinalizers } from './builtin-kinds.ts';
import type { Kind } from './kind.ts';
import { checkMetadata } from './metadata.ts';
import { decodeObject, placeIn } from './object-body.ts';
import {
  alreadyExists,
  badRequest,
  badPatch,
  type Cause,
  conflict,
  forbidden,
  invalid,
  notFound,
  StatusError,
} from './status-error.ts';
import type { Store } from './store.ts';

/** How a write is to be done. */
export interface WriteOptions {
  /** Everything but the write itself. */
  readonly dryRun: boolean;
}

/** A write to an object that is there. */
export interface UpdateOptions extends WriteOptions {
  readonly subresource: '' | 'status';
}

const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_TRIES = 8;

function randomSuffix(): string {
  return Array.from({ length: 5 }, () => SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)]).join('');
}

/** Whether nothing keeps an object that is being deleted any longer. */
export function mayGo(kind: Kind, object: ApiObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || finalizers.length > 0) return false;
  return kind.key === 'namespaces' ? contentFinalizers(object).length === 0 : deletionGracePeriodSeconds === 0;
}

/** Reads and writes single objects by the rules of their kinds. Refusals are StatusErrors. */
export class ObjectService {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** The object. @throws StatusError 404 */
  get(kind: Kind, namespace: string, name: string): ApiObject {
    const found = this.#store.get(kind.key, namespace, name);
    if (found === undefined) throw notFound(kind, name);
    return found;
  }

  /** Makes an object of a request's body. @throws StatusError 400, 403, 404, 409, 422 */
  create(kind: Kind, namespace: string, body: unknown, { dryRun }: WriteOptions): ApiObject {
    const object = placeIn(kind, namespace, decodeObject(kind, body));
    const { metadata } = object;
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '')
      throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
    for (const key of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'managedFields', 'selfLink'])
      delete metadata[key];
    if (kind.hasStatus && !kind.keepsStatusOnCreate) delete object.status;
    return this.#store.transaction(() => {
      const generated = metadata.name === undefined || metadata.name === '';
      if (generated && typeof metadata.generateName === 'string')
        metadata.name = this.#freeName(kind, namespace, metadata.generateName);
      metadata.uid = randomUUID();
      metadata.creationTimestamp = timestamp(this.#clock.now());
      if (kind.hasGeneration) metadata.generation = 1;
      else delete metadata.generation;
      check(kind, object, undefined);
      if (kind.namespaced) this.#checkNamespace(kind, namespace, metadata.name);
      if (this.#store.get(kind.key, namespace, metadata.name) !== undefined) throw alreadyExists(kind, metadata.name);
      const made = this.#store.put(kind.key, object);
      if (dryRun) delete (made.metadata as Partial<ObjectMeta>).resourceVersion;
      return made;
    }, dryRun);
  }

  /** Puts a request's body in an object's place. @throws StatusError 400, 404, 409, 422 */
  replace(kind: Kind, namespace: string, name: string, body: unknown, options: UpdateOptions): ApiObject {
    const next = placeIn(kind, namespace, decodeObject(kind, body));
    if ((next.metadata.name as string | undefined) === undefined)
      throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
    return this.#store.transaction(
      () => this.#update(kind, this.get(kind, namespace, name), next, options),
      options.dryRun,
    );
  }

  /** Puts what `change` makes of an object in its place; the object must be there. @throws StatusError 400, 404, 409, 422 */
  patch(
    kind: Kind,
    namespace: string,
    name: string,
    change: (old: ApiObject) => unknown,
    options: UpdateOptions,
  ): ApiObject {
    return this.#store.transaction(() => {
      const old = this.get(kind, namespace, name);
      const next = placeIn(kind, namespace, decodePatched(kind, change(structuredClone(old))));
      const { uid } = next.metadata;
      if (uid !== old.metadata.uid) throw immutable(kind, name, 'uid', uid);
      return this.#update(kind, old, next, options);
    }, options.dryRun);
  }

  /** Writes `change(old)` as the server's own doing, without the rules for requests; the object must be there. */
  amend(kind: Kind, namespace: string, name: string, change: (object: ApiObject) => void): ApiObject {
    return this.#store.transaction(() => {
      const next = this.get(kind, namespace, name);
      change(next);
      return this.write(kind, this.get(kind, namespace, name), next);
    });
  }

  /** Writes `next` in place of `old`, or removes it when nothing keeps it; inside a transaction. */
  write(kind: Kind, old: ApiObject, next: ApiObject): ApiObject {
    if (isDeepStrictEqual(old, next)) return old;
    if (kind.hasGeneration && !isDeepStrictEqual(wanted(kind, old), wanted(kind, next)))
      next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    return mayGo(kind, next) ? this.#store.remove(kind.key, next, old) : this.#store.put(kind.key, next, old);
  }

  #update(kind: Kind, old: ApiObject, body: ApiObject, options: UpdateOptions): ApiObject {
    checkPreconditions(kind, old, body);
    const next = options.subresource === 'status' ? { ...structuredClone(old), status: body.status } : body;
    if (next.status === undefined) delete next.status;
    if (options.subresource === '') keepServersFields(kind, old, next);
    check(kind, next, old);
    const written = this.write(kind, old, next);
    // The last update of an object has no version of its own: that is its removal's, which watches show.
    if (mayGo(kind, next) || options.dryRun) written.metadata.resourceVersion = old.metadata.resourceVersion;
    return written;
  }

  #freeName(kind: Kind, namespace: string, base: string): string {
    for (let i = 0; i < SUFFIX_TRIES; i++) {
      const name = `${base.slice(0, 58)}${randomSuffix()}`;
      if (this.#store.get(kind.key, namespace, name) === undefined) return name;
    }
    throw alreadyExists(kind, base);
  }

  #checkNamespace(kind: Kind, namespace: string, name: string): void {
    const found = this.#store.get('namespaces', '', namespace);
    if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const message = `namespace ${namespace} is being terminated`;
    throw forbidden(kind, name, why, [{ reason: 'NamespaceTerminating', message, field: 'metadata.namespace' }]);
  }
}

function decodePatched(kind: Kind, patched: unknown): ApiObject {
  try {
    return decodeObject(kind, patched);
  } catch (error) {
    throw error instanceof StatusError ? badPatch(patched, error.message) : error;
  }
}

function check(kind: Kind, object: ApiObject, old: ApiObject | undefined): void {
  kind.prepare(object, old);
  const metadata = checkMetadata(object.metadata, { name: kind.nameRule, builtin: kind.builtin });
  const causes = [...metadata, ...kind.validate(object, old)];
  if (causes.length > 0) throw invalid(kind, textAt(object.metadata, 'name'), causes);
}

function checkPreconditions(kind: Kind, old: ApiObject, body: ApiObject): void {
  const { name, uid, resourceVersion } = body.metadata;
  if (name !== old.metadata.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${old.metadata.name})`);
  if (uid !== undefined && uid !== '' && uid !== old.metadata.uid)
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  if (resourceVersion === undefined || resourceVersion === '') {
    if (kind.unconditionalUpdate) return;
    const message = 'Invalid value: 0: must be specified for an update';
    // Kubernetes names the resource here, not the kind.
    throw invalid({ group: kind.group, kind: kind.plural }, name, [
      { reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' },
    ]);
  }
  if (!/^\d+$/.test(resourceVersion))
    throw new StatusError(500, '', `resourceVersion ${JSON.stringify(resourceVersion)} is no number`);
  if (resourceVersion !== old.metadata.resourceVersion)
    throw conflict(
      kind,
      name,
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  const { deletionTimestamp } = body.metadata;
  if (deletionTimestamp !== undefined && deletionTimestamp !== old.metadata.deletionTimestamp)
    throw immutable(kind, name, 'deletionTimestamp', deletionTimestamp);
}

function immutable(kind: Kind, name: string, key: string, value: unknown): Error {
  const message = `Invalid value: ${JSON.stringify(value)}: field is immutable`;
  return invalid(kind, name, [{ reason: 'FieldValueInvalid', message, field: `metadata.${key}` }]);
}

const SERVERS_FIELDS = [
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'generateName',
] as const;

function keepServersFields(kind: Kind, old: ApiObject, next: ApiObject): void {
  const from: JsonObject = old.metadata;
  const to: JsonObject = next.metadata;
  for (const key of ['managedFields', 'selfLink']) delete to[key];
  for (const key of SERVERS_FIELDS) {
    if (from[key] === undefined) delete to[key];
    else to[key] = from[key];
  }
  if (kind.hasStatus) {
    if (old.status === undefined) delete next.status;
    else next.status = old.status;
  }
  if (old.metadata.deletionTimestamp === undefined) return;
  const before = arrayAt(from, 'finalizers');
  const added = arrayAt(to, 'finalizers').filter((finalizer) => !before.includes(finalizer));
  if (added.length === 0) return;
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((one) => JSON.stringify(one)).join(', ')}}`;
  const cause: Cause = { reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' };
  throw invalid(kind, old.metadata.name, [cause]);
}

/** The part of an object that its generation counts. */
function wanted(kind: Kind, object: ApiObject): unknown {
  const { metadata: _, ...rest } = object;
  if (kind.hasStatus) delete rest.status;
  return rest;
}
