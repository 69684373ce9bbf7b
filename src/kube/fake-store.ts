import { randomUUID } from 'node:crypto';
import { apiVersionOf, type Resource } from '../objects/resources.ts';
import { ApiError, type DeleteOptions } from './client.ts';
import { asRecord, asText, identityOf, keyOf } from './json.ts';

/** One change: what an object was and what it became; undefined is absence. */
export interface Change {
  readonly version: number;
  readonly resource: Resource;
  readonly before: object | undefined;
  readonly after: object | undefined;
}

/** What a store held at one time, by collection and key. */
export type Backup = ReadonlyMap<string, ReadonlyMap<string, object>>;

function refuse(status: number, reason: string, message: string): never {
  throw new ApiError({ status, reason, message });
}

function collection(r: Resource): string {
  return `${apiVersionOf(r)}/${r.plural}`;
}

/** The objects behind a fake API server and the history of their changes; versions count up from 1. */
export class FakeStore {
  readonly #collections = new Map<string, Map<string, object>>();
  readonly #listeners = new Set<() => void>();
  readonly #now: () => number;
  #changes: Change[] = [];
  #version = 1;
  #oldest = 1;

  /** @param now milliseconds since the epoch, for the timestamps of objects. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get version(): number {
    return this.#version;
  }

  all(r: Resource): readonly object[] {
    return [...this.#of(r).values()];
  }

  /** The stored object; throws the 404 that a server would answer. */
  read(r: Resource, key: string): object {
    return this.#of(r).get(key) ?? refuse(404, 'NotFound', `${r.plural} "${key}" not found`);
  }

  create(r: Resource, object: object, namespace: string): object {
    const meta = asRecord(asRecord(object)?.['metadata']) ?? {};
    const begin = asText(meta['generateName']);
    const name = asText(meta['name']) || (begin === '' ? '' : `${begin}${randomUUID().slice(0, 5)}`);
    if (name === '') refuse(422, 'Invalid', `${r.kind} is invalid: metadata.name: Required value`);
    if (r.namespaced && namespace === '') refuse(400, 'BadRequest', `${r.kind} ${name} has no namespace`);
    const key = keyOf({ name, namespace });
    if (this.#of(r).has(key)) refuse(409, 'AlreadyExists', `${r.plural} "${key}" already exists`);
    const creationTimestamp = new Date(this.#now()).toISOString();
    const identity = { name, uid: randomUUID(), creationTimestamp, ...(namespace === '' ? {} : { namespace }) };
    return this.#put(r, key, undefined, { ...object, metadata: { ...meta, ...identity } });
  }

  /** Stores `next` in place of the object; a version in it must be the stored one, and uid and times are kept. */
  update(r: Resource, key: string, next: object, subresource: string | undefined): object {
    const before = this.read(r, key);
    const old = identityOf(before);
    const { uid, resourceVersion } = identityOf(next);
    if (uid !== '' && uid !== old.uid) refuse(409, 'Conflict', `${r.plural} "${key}" has another uid`);
    if (resourceVersion !== '' && resourceVersion !== old.resourceVersion) {
      refuse(409, 'Conflict', `${r.plural} "${key}": the object has been modified`);
    }
    if (subresource !== undefined) {
      return this.#put(r, key, before, { ...before, [subresource]: asRecord(next)?.[subresource] });
    }
    const { creationTimestamp, deletionTimestamp } = asRecord(asRecord(before)?.['metadata']) ?? {};
    const kept = {
      uid: old.uid,
      creationTimestamp,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    };
    const metadata = { ...asRecord(asRecord(next)?.['metadata']), ...kept };
    const after = { ...next, metadata };
    if (deletionTimestamp !== undefined && finalizersOf(after).length === 0) return this.#drop(r, key, before);
    return this.#put(r, key, before, after);
  }

  delete(r: Resource, key: string, options: DeleteOptions): object {
    const before = this.read(r, key);
    const { uid, resourceVersion } = identityOf(before);
    if ((options.uid ?? uid) !== uid || (options.resourceVersion ?? resourceVersion) !== resourceVersion) {
      refuse(409, 'Conflict', `${r.plural} "${key}": a precondition does not hold`);
    }
    if (finalizersOf(before).length === 0) return this.#drop(r, key, before);
    const metadata = { ...asRecord(asRecord(before)?.['metadata']) };
    metadata['deletionTimestamp'] ??= new Date(this.#now()).toISOString();
    return this.#put(r, key, before, { ...before, metadata });
  }

  /** The changes of `r` after `version`; throws the 410 that a server would answer when they are forgotten. */
  changesAfter(r: Resource, version: number): readonly Change[] {
    if (version < this.#oldest) refuse(410, 'Expired', `too old resource version: ${version} (${this.#oldest})`);
    // Each change has the next version, so that who follows does not look at all that ever was.
    const later = this.#changes.slice(Math.max(0, this.#changes.length - (this.#version - version)));
    return later.filter((c) => c.version > version && collection(c.resource) === collection(r));
  }

  /** Forgets the history until now, so that older versions are answered with 410. */
  compact(): void {
    this.#oldest = this.#version;
    this.#changes = [];
  }

  /** All objects, for `restore`. */
  backup(): Backup {
    return new Map([...this.#collections].map(([name, objects]) => [name, new Map(objects)]));
  }

  /** Puts all objects back as they were; versions go on from now, and nobody can watch from an older one. */
  restore(backup: Backup): void {
    this.#collections.clear();
    for (const [name, objects] of backup) this.#collections.set(name, new Map(objects));
    this.#version += 1;
    this.compact();
  }

  /** Calls `listener` after each change until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #of(r: Resource): Map<string, object> {
    const name = collection(r);
    const found = this.#collections.get(name) ?? new Map<string, object>();
    this.#collections.set(name, found);
    return found;
  }

  #put(r: Resource, key: string, before: object | undefined, next: object): object {
    this.#version += 1;
    const metadata = { ...asRecord(asRecord(next)?.['metadata']), resourceVersion: String(this.#version) };
    const after = structuredClone({ apiVersion: apiVersionOf(r), kind: r.kind, ...next, metadata });
    this.#of(r).set(key, after);
    this.#announce(r, before, after);
    return after;
  }

  #drop(r: Resource, key: string, before: object): object {
    this.#version += 1;
    this.#of(r).delete(key);
    this.#announce(r, before, undefined);
    return before;
  }

  #announce(resource: Resource, before: object | undefined, after: object | undefined): void {
    this.#changes.push({ version: this.#version, resource, before, after });
    for (const listener of this.#listeners) listener();
  }
}

function finalizersOf(object: object): readonly unknown[] {
  const finalizers = asRecord(asRecord(object)?.['metadata'])?.['finalizers'];
  return Array.isArray(finalizers) ? finalizers : [];
}
