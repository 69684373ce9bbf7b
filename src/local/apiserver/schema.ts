import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { isObject, type JsonObject } from './api-object.ts';
import type { Cause } from './status-error.ts';

function isCidr(text: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match === null) return false;
  const [, address = '', length = ''] = match;
  const family = isIP(address);
  return family !== 0 && Number(length) <= (family === 4 ? 32 : 128);
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function isDateTime(text: string): boolean {
  return RFC3339.test(text) && !Number.isNaN(Date.parse(text));
}

/** The formats of texts that are checked; others, and those of numbers, are not (CRD documentation, "Validation"). */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: isCidr,
  'date-time': isDateTime,
  datetime: isDateTime,
};

/** Patterns are of schemas, which are few and stay. */
const patterns = new Map<string, RegExp>();

function patternOf(text: string): RegExp {
  let pattern = patterns.get(text);
  if (pattern === undefined) patterns.set(text, (pattern = new RegExp(text, 'u')));
  return pattern;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typesOf(schema: JsonObject): readonly string[] {
  if (schema['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return typeof schema['type'] === 'string' ? [schema['type']] : [];
}

function isOfType(type: string, found: string): boolean {
  return type === found || (type === 'number' && found === 'integer');
}

function invalid(field: string, value: unknown, why: string): Cause {
  const message = `Invalid value: ${JSON.stringify(value)}: ${field} in body ${why}`;
  return { reason: 'FieldValueInvalid', message, field };
}

function wrongType(field: string, found: unknown, wanted: string): Cause {
  return {
    ...invalid(field, found, `must be of type ${wanted}: ${JSON.stringify(found)}`),
    reason: 'FieldValueTypeInvalid',
  };
}

function duplicate(field: string, value: unknown): Cause {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(value)}`, field };
}

function tooMany(field: string, count: number, limit: number): Cause {
  return { reason: 'FieldValueTooMany', message: `Too many: ${count}: must have at most ${limit} items`, field };
}

function checkNumber(value: number, schema: JsonObject, field: string): Cause[] {
  const { minimum, maximum, multipleOf } = schema;
  const causes: Cause[] = [];
  const above = schema['exclusiveMinimum'] === true;
  const below = schema['exclusiveMaximum'] === true;
  if (typeof minimum === 'number' && (above ? value <= minimum : value < minimum))
    causes.push(invalid(field, value, `should be greater than ${above ? '' : 'or equal to '}${minimum}`));
  if (typeof maximum === 'number' && (below ? value >= maximum : value > maximum))
    causes.push(invalid(field, value, `should be less than ${below ? '' : 'or equal to '}${maximum}`));
  if (typeof multipleOf === 'number' && !Number.isInteger(value / multipleOf))
    causes.push(invalid(field, value, `should be a multiple of ${multipleOf}`));
  return causes;
}

function checkText(value: string, schema: JsonObject, field: string): Cause[] {
  const { minLength, maxLength, pattern, format } = schema;
  const causes: Cause[] = [];
  const { length } = Array.from(value);
  if (typeof minLength === 'number' && length < minLength)
    causes.push(invalid(field, value, `should be at least ${minLength} chars long`));
  if (typeof maxLength === 'number' && length > maxLength) {
    const message = `Too long: may not be more than ${maxLength} bytes`;
    causes.push({ reason: 'FieldValueTooLong', message, field });
  }
  if (typeof pattern === 'string' && !patternOf(pattern).test(value))
    causes.push(invalid(field, value, `should match '${pattern}'`));
  if (typeof format === 'string' && FORMATS[format]?.(value) === false) causes.push(wrongType(field, value, format));
  return causes;
}

function checkArray(value: readonly unknown[], schema: JsonObject, field: string): Cause[] {
  const { minItems, maxItems, items } = schema;
  const causes: Cause[] = [];
  if (typeof minItems === 'number' && value.length < minItems)
    causes.push(invalid(field, value.length, `should have at least ${minItems} items`));
  if (typeof maxItems === 'number' && value.length > maxItems) causes.push(tooMany(field, value.length, maxItems));
  for (const [i, item] of value.entries()) causes.push(...validateSchema(item, items, `${field}[${i}]`));
  return [...causes, ...duplicates(value, schema, field)];
}

/** A schema of ours may say what its values must be, in `x-romana-says`. */
function inOwnWords(causes: Cause[], value: unknown, schema: JsonObject): Cause[] {
  const says = schema['x-romana-says'];
  const [first] = causes;
  if (typeof says !== 'string' || first === undefined) return causes;
  return [{ ...first, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${says}` }];
}

/** What is there twice in a list that is a set, or a map by its items' keys. */
function duplicates(value: readonly unknown[], schema: JsonObject, field: string): Cause[] {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const keys = schema['x-kubernetes-list-map-keys'];
  const idOf = (item: unknown): unknown =>
    type === 'map' && isObject(item) && Array.isArray(keys)
      ? Object.fromEntries(keys.map((key: unknown) => [String(key), item[String(key)]]))
      : item;
  const seen: unknown[] = [];
  return value.map(idOf).flatMap((id, i) => {
    if (seen.some((other) => isDeepStrictEqual(other, id))) return [duplicate(`${field}[${i}]`, id)];
    seen.push(id);
    return [];
  });
}

/** The path of a field in what is at `field`. */
function within(field: string, key: string): string {
  return field === '' ? key : `${field}.${key}`;
}

function checkObject(value: JsonObject, schema: JsonObject, field: string): Cause[] {
  const { required, minProperties, maxProperties, additionalProperties } = schema;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const causes: Cause[] = [];
  const count = Object.keys(value).length;
  if (typeof minProperties === 'number' && count < minProperties)
    causes.push(invalid(field, count, `should have at least ${minProperties} properties`));
  if (typeof maxProperties === 'number' && count > maxProperties) causes.push(tooMany(field, count, maxProperties));
  for (const key of Array.isArray(required) ? (required as string[]) : [])
    if (value[key] === undefined)
      causes.push({ reason: 'FieldValueRequired', message: 'Required value', field: within(field, key) });
  for (const [key, item] of Object.entries(value)) {
    const known = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    causes.push(...validateSchema(item, known, within(field, key)));
  }
  return causes;
}

/** How many of the schemas under `key` a value fits, and how many there are. */
function fitting(value: unknown, schema: JsonObject, key: string): { readonly fits: number; readonly all: number } {
  const list = schema[key];
  if (!Array.isArray(list)) return { fits: 0, all: 0 };
  return { fits: list.filter((one) => validateSchema(value, one).length === 0).length, all: list.length };
}

function checkCombinations(value: unknown, schema: JsonObject, field: string): Cause[] {
  const say = (why: string): Cause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: "": "${field}" must ${why}`,
    field: '<nil>',
  });
  const causes: Cause[] = [];
  const any = fitting(value, schema, 'anyOf');
  const one = fitting(value, schema, 'oneOf');
  if (any.all > 0 && any.fits === 0) causes.push(say('validate at least one schema (anyOf)'));
  if (one.all > 0 && one.fits !== 1) {
    const found = one.fits === 0 ? 'Found none valid' : `Found ${one.fits} valid alternatives`;
    causes.push(say(`validate one and only one schema (oneOf). ${found}`));
  }
  const all = schema['allOf'];
  if (Array.isArray(all)) causes.push(...all.flatMap((part) => validateSchema(value, part, field)));
  if (isObject(schema['not']) && validateSchema(value, schema['not']).length === 0)
    causes.push(say('not validate the schema (not)'));
  return causes;
}

/**
 * What is wrong with a value by a structural schema (OpenAPI v3 as CustomResourceDefinitions have it), in the words of
 * Kubernetes. Rules in CEL are not applied.
 *
 * @param field the path of `value`, such as `spec.plans[0]`
 */
export function validateSchema(value: unknown, schema: unknown, field = ''): Cause[] {
  if (!isObject(schema) || (value === null && schema['nullable'] === true)) return [];
  const causes: Cause[] = [];
  const wanted = typesOf(schema);
  const found = typeOf(value);
  if (wanted.length > 0 && !wanted.some((type) => isOfType(type, found)))
    causes.push(wrongType(field, found, wanted.join(',')));
  const allowed = schema['enum'];
  if (Array.isArray(allowed) && !allowed.some((one) => isDeepStrictEqual(one, value))) {
    const list = allowed.map((one) => JSON.stringify(one)).join(', ');
    const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`;
    causes.push({ reason: 'FieldValueNotSupported', message, field });
  }
  if (causes.length > 0) return causes;
  if (typeof value === 'number') causes.push(...inOwnWords(checkNumber(value, schema, field), value, schema));
  else if (typeof value === 'string') causes.push(...inOwnWords(checkText(value, schema, field), value, schema));
  else if (Array.isArray(value)) causes.push(...checkArray(value, schema, field));
  else if (isObject(value)) causes.push(...checkObject(value, schema, field));
  return [...causes, ...checkCombinations(value, schema, field)];
}
