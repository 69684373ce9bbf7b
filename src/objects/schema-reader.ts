import { describe, isJsonObject, type Field } from './field.ts';

/** Bounds of a list. */
export interface Count {
  readonly min?: number;
  readonly max?: number;
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'float64';
  return value === null ? 'null' : typeof value;
}

/** Reads what a structural schema describes; faults are in the words that an API server has for them. */
export class SchemaReader {
  /** Whether an object is here. What is missing is a fault. */
  object(field: Field): boolean {
    return this.#is(field, isJsonObject(field.value), 'object');
  }

  /**
   * Whether an object is here that has one of the fields `known`. One that has others alone is none of our schema: to
   * tell what it is, is for the caller.
   */
  oneOf(field: Field, ...known: readonly string[]): boolean {
    if (!this.object(field)) return false;
    const count = known.filter((name) => !field.get(name).absent).length;
    const others = isJsonObject(field.value) && Object.keys(field.value).some((key) => !known.includes(key));
    return this.#count(field, count, { min: others ? 0 : 1, max: 1 }, { least: 'properties', most: 'item' });
  }

  /** The items of the list here, within bounds. What is missing is a fault if it is `required`. */
  items(
    field: Field,
    count: Count & { readonly required?: boolean; readonly distinct?: boolean } = {},
  ): readonly Field[] {
    if (field.absent && count.required !== true) return [];
    if (!this.#is(field, Array.isArray(field.value), 'array')) return [];
    const items = field.items();
    this.#count(field, items.length, count, { least: 'items', most: 'items' });
    if (count.distinct === true) {
      const seen = new Set<unknown>();
      for (const item of items) {
        if (seen.has(item.value)) item.fail(`Duplicate value: ${describe(item.value)}`);
        seen.add(item.value);
      }
    }
    return items;
  }

  /** The string here; '' after a fault. */
  text(field: Field, rules: { readonly maxLength?: number; readonly pattern?: string } = {}): string {
    if (!this.#is(field, typeof field.value === 'string', 'string')) return '';
    const text = field.value as string;
    const { maxLength, pattern } = rules;
    if (maxLength !== undefined && text.length > maxLength) {
      field.fail(`Too long: may not be more than ${maxLength} bytes`);
    }
    if (pattern !== undefined && !new RegExp(pattern).test(text)) {
      field.fail(this.#inBody(field, `should match '${pattern}'`));
    }
    return text;
  }

  /** The whole number here; `min` after a fault. */
  integer(field: Field, min: number, max: number): number {
    const { value } = field;
    if (!this.#is(field, typeof value === 'number' && Number.isInteger(value), 'integer')) return min;
    const number = value as number;
    if (number < min) field.fail(this.#inBody(field, `should be greater than or equal to ${min}`));
    if (number > max) field.fail(this.#inBody(field, `should be less than or equal to ${max}`));
    return number >= min && number <= max ? number : min;
  }

  /** The one of `choices` that is here; undefined after a fault. */
  choice<T extends string>(field: Field, choices: readonly T[]): T | undefined {
    if (!this.#is(field, typeof field.value === 'string', 'string')) return undefined;
    const found = choices.find((choice) => choice === field.value);
    const supported = choices.map((choice) => `"${choice}"`).join(', ');
    if (found === undefined) field.fail(`Unsupported value: ${describe(field.value)}: supported values: ${supported}`);
    return found;
  }

  #is(field: Field, fits: boolean, type: string): boolean {
    if (fits) return true;
    const found = typeName(field.value);
    if (field.absent) field.fail('Required value');
    else field.fail(`Invalid value: "${found}": ${field.path} in body must be of type ${type}: "${found}"`);
    return false;
  }

  #count(field: Field, found: number, { min, max }: Count, words: { least: string; most: string }): boolean {
    if (min !== undefined && found < min) {
      field.fail(`Invalid value: ${found}: ${field.path} in body should have at least ${min} ${words.least}`);
    }
    if (max !== undefined && found > max) {
      field.fail(`Too many: ${found}: must have at most ${max} ${words.most}`);
    }
    return (min === undefined || found >= min) && (max === undefined || found <= max);
  }

  #inBody(field: Field, what: string): string {
    return `Invalid value: ${describe(field.value)}: ${field.path} in body ${what}`;
  }
}
