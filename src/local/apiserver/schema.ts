import { isIP, isIPv4, isIPv6 } from 'node:net';
import { Ajv, type ErrorObject } from 'ajv';
import type { JsonObject } from './api-object.ts';
import type { Cause } from './status-error.ts';

/** Says what is wrong with a value, by field. */
export type Validator = (value: unknown) => Cause[];

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

/** ajv with the formats that Kubernetes checks (CRD documentation, "Structural schema"); it ignores the others. */
export function makeAjv(): Ajv {
  return new Ajv({
    strict: false,
    allErrors: true,
    verbose: true,
    logger: false,
    formats: { ipv4: isIPv4, ipv6: isIPv6, cidr: isCidr, 'date-time': isDateTime, datetime: isDateTime },
  });
}

/** `/spec/plans/0/cidr` as Kubernetes writes it: `spec.plans[0].cidr`. */
function fieldPath(pointer: string): string {
  let path = '';
  for (const token of pointer.split('/').slice(1)) {
    const step = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (/^\d+$/.test(step)) path += `[${step}]`;
    else if (/^[\w-]+$/.test(step)) path += path === '' ? step : `.${step}`;
    else path += `[${step}]`;
  }
  return path;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

function causeOf(error: ErrorObject): Cause {
  const field = fieldPath(error.instancePath);
  const params = error.params as JsonObject;
  switch (error.keyword) {
    case 'required': {
      const missing = String(params['missingProperty']);
      return {
        reason: 'FieldValueRequired',
        message: 'Required value',
        field: field === '' ? missing : `${field}.${missing}`,
      };
    }
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[]).map((v) => JSON.stringify(v)).join(', ');
      const message = `Unsupported value: ${shown(error.data)}: supported values: ${allowed}`;
      return { reason: 'FieldValueNotSupported', message, field };
    }
    case 'type': {
      const message = `Invalid value: ${shown(error.data)}: must be of type ${String(params['type'])}`;
      return { reason: 'FieldValueTypeInvalid', message, field };
    }
    default:
      return {
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${shown(error.data)}: ${error.message ?? error.keyword}`,
        field,
      };
  }
}

/** Compiles a JSON schema; at most 20 causes are told. */
export function compileSchema(ajv: Ajv, schema: JsonObject): Validator {
  const check = ajv.compile(schema);
  return (value) => {
    if (check(value)) return [];
    const causes = new Map<string, Cause>();
    for (const error of check.errors ?? []) {
      const cause = causeOf(error);
      const key = `${cause.field} ${cause.message}`;
      if (!causes.has(key)) causes.set(key, cause);
    }
    return [...causes.values()].slice(0, 20);
  };
}
