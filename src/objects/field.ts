/** A fault at one place of an object. */
export interface FieldError {
  /** Path as the API server writes it: `spec.plans[0].cidr`, `metadata.labels[app]`; '' is the object itself. */
  readonly field: string;
  readonly message: string;
}

/** A JSON object as it comes off the wire. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether `value` is a JSON object (no array, not null). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What `value` is, for messages: short, whatever it is. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return `a ${typeof value}`;
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** How a document is read. */
export interface FieldOptions {
  /**
   * `absent`: null is the same as a missing field, as in the kinds that are built into Kubernetes.
   * `error`: null is a fault, as in custom resources whose schema has no `nullable`.
   */
  readonly nulls: 'absent' | 'error';
}

/** Most objects have no annotations, many no labels: none is one object for all of them. */
const NO_STRINGS: ReadonlyMap<string, string> = new Map();

/**
 * One place in a JSON document that is being read. Faults are collected for the whole document, with their path,
 * which is put together only when there is a fault: this runs for every watch event.
 * Readers return a harmless value of the right type after a fault, so nothing here ever throws.
 */
export class Field {
  readonly value: unknown;
  readonly errors: FieldError[];
  readonly #options: FieldOptions;
  readonly #parent: Field | undefined;
  readonly #step: string;
  #failed = false;

  private constructor(value: unknown, errors: FieldError[], options: FieldOptions, parent?: Field, step = '') {
    this.value = value;
    this.errors = errors;
    this.#options = options;
    this.#parent = parent;
    this.#step = step;
  }

  /** The whole document; `at` is its own path, where it is itself a part of something. */
  static root(value: unknown, options: FieldOptions = { nulls: 'absent' }, at = ''): Field {
    return new Field(value, [], options, undefined, at);
  }

  /** The path of this place. */
  get path(): string {
    if (this.#parent === undefined) return this.#step;
    const before = this.#parent.path;
    if (this.#step.startsWith('[')) return before + this.#step;
    return before === '' ? this.#step : `${before}.${this.#step}`;
  }

  /** Whether nothing is here. */
  get absent(): boolean {
    return this.value === undefined || (this.value === null && this.#options.nulls === 'absent');
  }

  /** Notes a fault here, if it is the first: after it, this place and what is below it are not reported again. */
  fail(message: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.errors.push({ field: this.path, message });
  }

  /** The member `name` of the object here; absent if this is absent or no object (which is a fault). */
  get(name: string): Field {
    const object = this.#object();
    const value = object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
    return new Field(value, this.#failed ? [] : this.errors, this.#options, this, name);
  }

  /** The elements of the list here; none if absent. */
  items(): readonly Field[] {
    if (this.absent) return [];
    if (!Array.isArray(this.value)) {
      this.fail(`must be a list, found ${describe(this.value)}`);
      return [];
    }
    return this.value.map((value: unknown, i) => new Field(value, this.errors, this.#options, this, `[${i}]`));
  }

  /** The members of the object here as a map of strings; the fault of one names its key. */
  strings(): ReadonlyMap<string, string> {
    const object = this.#object();
    if (object === undefined) return NO_STRINGS;
    const found = new Map<string, string>();
    for (const key of Object.keys(object)) {
      const member = new Field(object[key], this.errors, this.#options, this, `[${key}]`);
      if (typeof member.value === 'string') found.set(key, member.value);
      else member.fail(`must be a string, found ${describe(member.value)}`);
    }
    return found;
  }

  /** A string; `fallback` when absent, a fault when there is no fallback. */
  string(fallback?: string): string {
    if (typeof this.value === 'string') return this.value;
    return this.#otherwise('a string', fallback, '');
  }

  /** A boolean; `fallback` when absent, a fault when there is no fallback. */
  boolean(fallback?: boolean): boolean {
    if (typeof this.value === 'boolean') return this.value;
    return this.#otherwise('true or false', fallback, false);
  }

  /** A whole number from `min` to `max`; `fallback` when absent, a fault when there is no fallback. */
  integer(min: number, max: number, fallback?: number): number {
    const value = this.value;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    return this.#otherwise(`a whole number from ${min} to ${max}`, fallback, min);
  }

  /** One of `choices`; `fallback` when absent, a fault when there is no fallback. */
  oneOf<T extends string>(choices: readonly [T, ...T[]], fallback?: T): T {
    const found = choices.find((choice) => choice === this.value);
    if (found !== undefined) return found;
    return this.#otherwise(
      choices.length === 1 ? `"${choices[0]}"` : `one of ${choices.join(', ')}`,
      fallback,
      choices[0],
    );
  }

  /** What `parse` makes of the string here; undefined after a fault. */
  parsed<T>(
    parse: (text: string) => { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string },
  ): T | undefined {
    if (typeof this.value !== 'string') {
      this.#otherwise('a string', undefined, '');
      return undefined;
    }
    const result = parse(this.value);
    if (result.ok) return result.value;
    this.fail(result.error);
    return undefined;
  }

  /** The list here through `read`, without what turned out undefined (its fault is noted). */
  list<T>(read: (item: Field) => T | undefined): readonly T[] {
    const found: T[] = [];
    for (const item of this.items()) {
      const value = read(item);
      if (value !== undefined) found.push(value);
    }
    return found;
  }

  /** A fault unless something is here. */
  required(): this {
    if (this.absent) this.fail('is required');
    return this;
  }

  /** A fault for every member of the object here that is not in `known`. */
  only(...known: readonly string[]): this {
    for (const key of Object.keys(this.#object() ?? {})) {
      if (!known.includes(key)) this.get(key).fail(`is not known; known here: ${known.join(', ')}`);
    }
    return this;
  }

  #object(): JsonObject | undefined {
    if (isJsonObject(this.value)) return this.value;
    if (!this.absent) this.fail(`must be an object, found ${describe(this.value)}`);
    return undefined;
  }

  #otherwise<T>(what: string, fallback: T | undefined, harmless: T): T {
    if (!this.absent) this.fail(`must be ${what}, found ${describe(this.value)}`);
    else if (fallback === undefined) this.fail('is required');
    return fallback ?? harmless;
  }
}
