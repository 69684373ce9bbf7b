import { randomInt, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../lib/clock.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  textAt,
  timestamp,
  type ApiObject,
  type ObjectMeta,
} from './api-object.ts';
import { contentFinalizers } from './builtin-kinds.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { checkMetadata } from './metadata.ts';
import { alreadyExists, badRequest, type Cause, conflict, forbidden, invalid, notFound } from './status-error.ts';
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
    const object = readBody(kind, namespace, body);
    const { metadata } = object;
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '')
      throw badRequest('resourceVersion should not be set on objects to be created');
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
      return this.#store.put(kind.key, object);
    }, dryRun);
  }

  /** Puts a request's body in an object's place. @throws StatusError 400, 404, 409, 422 */
  replace(kind: Kind, namespace: string, name: string, body: unknown, options: UpdateOptions): ApiObject {
    const next = readBody(kind, namespace, body);
    if (next.metadata.name === undefined) next.metadata.name = name;
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
      const next = readBody(kind, namespace, change(structuredClone(old)));
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
    return this.write(kind, old, next);
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

/** A body as an object of `kind` in `namespace`; its metadata's name may still be missing. */
function readBody(kind: Kind, namespace: string, body: unknown): ApiObject {
  if (!isObject(body)) throw badRequest('the body of the request must be an object');
  const apiVersion = apiVersionOf(kind);
  if ((body['apiVersion'] ?? apiVersion) !== apiVersion)
    throw badRequest(
      `the API version in the data (${textAt(body, 'apiVersion')}) does not match the expected API version (${apiVersion})`,
    );
  if ((body['kind'] ?? kind.kind) !== kind.kind)
    throw badRequest(`the kind in the data (${textAt(body, 'kind')}) does not match the expected kind (${kind.kind})`);
  const metadata = body['metadata'] ?? {};
  if (!isObject(metadata)) throw badRequest('metadata must be an object');
  const own = textAt(metadata, 'namespace');
  if (own !== '' && own !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const meta: JsonObject = Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null));
  if (kind.namespaced) meta['namespace'] = namespace;
  else delete meta['namespace'];
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = body;
  return structuredClone({ apiVersion, kind: kind.kind, metadata: meta as ObjectMeta, ...rest });
}

function check(kind: Kind, object: ApiObject, old: ApiObject | undefined): void {
  const metadata = checkMetadata(object.metadata, kind.nameRule);
  if (metadata.length > 0) throw invalid(kind, textAt(object.metadata, 'name'), metadata);
  kind.prepare(object, old);
  const causes = kind.validate(object, old);
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes);
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
    const message = 'Invalid value: 0x0: must be specified for an update';
    throw invalid(kind, name, [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }]);
  }
  if (resourceVersion !== old.metadata.resourceVersion)
    throw conflict(
      kind,
      name,
      'the object has been modified; please apply your changes to the latest version and try again',
    );
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
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new: ${added.join(', ')}`;
  const cause: Cause = { reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' };
  throw invalid(kind, old.metadata.name, [cause]);
}

/** The part of an object that its generation counts. */
function wanted(kind: Kind, object: ApiObject): unknown {
  const { metadata: _, ...rest } = object;
  if (kind.hasStatus) delete rest.status;
  return rest;
}
