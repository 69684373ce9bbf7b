import { isDeepStrictEqual } from 'node:util';
import { err, ok } from '../lib/result.ts';
import type { FieldError, Parsed } from '../objects/meta.ts';
import { asRecord, identityOf, keyOf } from './json.ts';

/** An object as a store reads it. */
export interface Read<T> {
  /** '' for one without a name. */
  readonly key: string;
  readonly parsed: Parsed<T>;
}

/** What a store did with an object: its key, and why it could not be read. */
export interface Unreadable {
  readonly key: string;
  readonly errors: readonly FieldError[];
}

/**
 * The objects of one selection as domain values, and which of them differ since they were last asked for.
 * An object that can't be read is in `invalid` and not in `store`.
 */
export class ObjectStore<T> {
  readonly #parse: (json: unknown) => Parsed<T>;
  readonly #store = new Map<string, T>();
  readonly #invalid = new Map<string, readonly FieldError[]>();
  #changed = new Set<string>();

  constructor(parse: (json: unknown) => Parsed<T>) {
    this.#parse = parse;
  }

  /** By `namespace/name`, or `name` for what is cluster scoped. */
  get store(): ReadonlyMap<string, T> {
    return this.#store;
  }

  /** Why an object is not in `store` although the API server has it, by the same keys. */
  get invalid(): ReadonlyMap<string, readonly FieldError[]> {
    return this.#invalid;
  }

  /** Takes from an object of the API server what is kept of it, much less than it is; changes nothing yet. */
  read(json: unknown): Read<T> {
    const key = keyOf(identityOf(json));
    if (key === '') return { key, parsed: err([{ field: 'metadata.name', message: 'is required' }]) };
    const parsed = this.#parse(json);
    const before = this.#store.get(key);
    // What is the same is held once, also while a whole list comes in.
    if (parsed.ok && before !== undefined && isDeepStrictEqual(before, parsed.value))
      return { key, parsed: ok(before) };
    return { key, parsed };
  }

  /** Keeps an object in place of what had its key; says so if it became unreadable, or unreadable in another way. */
  put({ key, parsed }: Read<T>): Unreadable | undefined {
    if (parsed.ok) {
      this.#putValid(key, parsed.value);
      return undefined;
    }
    if (key === '') return { key, errors: parsed.error };
    this.#store.delete(key);
    if (isDeepStrictEqual(this.#invalid.get(key), parsed.error)) return undefined;
    this.#invalid.set(key, parsed.error);
    this.#changed.add(key);
    return { key, errors: parsed.error };
  }

  /** Forgets the object that has the key of `json`. */
  remove(json: unknown): void {
    this.#removeKey(keyOf(identityOf(json)));
  }

  /** Makes the store hold exactly `items`; only what differs from before counts as changed. */
  replaceAll(items: readonly Read<T>[]): readonly Unreadable[] {
    const gone = new Set([...this.#store.keys(), ...this.#invalid.keys()]);
    const unreadable: Unreadable[] = [];
    for (const item of items) {
      gone.delete(item.key);
      const problem = this.put(item);
      if (problem !== undefined) unreadable.push(problem);
    }
    for (const key of gone) this.#removeKey(key);
    return unreadable;
  }

  /** The keys whose object appeared, went or means something else since the last call. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    if (changed.size > 0) this.#changed = new Set();
    return changed;
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  #putValid(key: string, value: T): void {
    const before = this.#store.get(key);
    const wasInvalid = this.#invalid.delete(key);
    if (before === value) return;
    this.#store.set(key, value);
    if (before === undefined || wasInvalid || !equalButVersion(before, value)) this.#changed.add(key);
  }

  #removeKey(key: string): void {
    const had = this.#store.delete(key);
    if (this.#invalid.delete(key) || had) this.#changed.add(key);
  }
}

/**
 * Whether two values differ in nothing but `meta.resourceVersion`: a write to a field that we don't read, such as a
 * kubelet's heartbeat.
 */
function equalButVersion(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(withoutVersion(a), withoutVersion(b));
}

function withoutVersion(value: unknown): unknown {
  const record = asRecord(value);
  const meta = asRecord(record?.['meta']);
  if (record === undefined || meta === undefined) return value;
  return { ...record, meta: { ...meta, resourceVersion: '' } };
}
