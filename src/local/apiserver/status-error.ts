import type { JsonObject } from './api-object.ts';

/** One entry of `details.causes` of a Status. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  /** The path of the field, such as `spec.plans[0].cidr`. */
  readonly field: string;
}

/** `details` of a Status. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
}

/** What is named in an error: a resource (`pods`) in its group, and mostly an object of it. */
export interface Subject {
  readonly group: string;
  readonly plural: string;
}

/**
 * A request that ends with a Status object (Kubernetes API conventions, "Response Status Kind"). Thrown by the
 * handlers and turned into the answer in one place.
 */
export class StatusError extends Error {
  /** What is answered in place of a Status object. */
  readonly text: string | undefined;
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails, text?: string) {
    super(message);
    this.text = text;
    this.name = 'StatusError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The Status object of the answer. */
  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

function qualified(s: Subject): string {
  return s.group === '' ? s.plural : `${s.plural}.${s.group}`;
}

function detailsOf(s: Subject, name: string, causes?: readonly Cause[]): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(s.group === '' ? {} : { group: s.group }),
    kind: s.plural,
    ...(causes === undefined ? {} : { causes }),
  };
}

/** 400: the request itself makes no sense. */
export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

/** 404: there is no such object. */
export function notFound(s: Subject, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(s)} "${name}" not found`, detailsOf(s, name));
}

/**
 * 404: there is nothing at this path.
 *
 * @param builtin whether it is in a group of Kubernetes' own, which have a Status for that, while all else has a text.
 */
export function noSuchPath(builtin = false): StatusError {
  const message = 'the server could not find the requested resource';
  return new StatusError(404, 'NotFound', message, {}, builtin ? undefined : '404 page not found\n');
}

/** 404: what Kubernetes has at this path of an object, and this server has not. */
export function noSubresource(plural: string, subresource: string): StatusError {
  const message = `the server could not find the requested resource: this API server has no ${plural}/${subresource}`;
  return new StatusError(404, 'NotFound', message, {});
}

/** 405: the resource does not know this verb. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

/** 409: an object of that name is there. */
export function alreadyExists(s: Subject, name: string): StatusError {
  return new StatusError(409, 'AlreadyExists', `${qualified(s)} "${name}" already exists`, detailsOf(s, name));
}

/** 409: the object is not what the caller thinks it is. */
export function conflict(s: Subject, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(s)} "${name}": ${why}`;
  return new StatusError(409, 'Conflict', message, detailsOf(s, name));
}

/** 403: not now or not here. */
export function forbidden(s: Subject, name: string, why: string, causes?: readonly Cause[]): StatusError {
  return new StatusError(
    403,
    'Forbidden',
    `${qualified(s)} "${name}" is forbidden: ${why}`,
    detailsOf(s, name, causes),
  );
}

/** 422: the object breaks its kind's rules; `causes` say where. */
export function invalid(kind: { group: string; kind: string }, name: string, causes: readonly Cause[]): StatusError {
  const list = causes.map((c) => (c.field === '' ? c.message : `${c.field}: ${c.message}`));
  const text = list.length === 1 ? list[0] : `[${list.join(', ')}]`;
  const group = kind.group === '' ? '' : `.${kind.group}`;
  return new StatusError(422, 'Invalid', `${kind.kind}${group} "${name}" is invalid: ${text}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.kind,
    causes,
  });
}

/** 422: what a patch makes of an object is no object of its kind. */
export function badPatch(patched: unknown, why: string): StatusError {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(patched))}: ${why}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
  return new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, { causes });
}

/** 422: a query of a request has a value that is none of those there are. */
export function unsupportedOption(
  kind: string,
  field: string,
  value: unknown,
  supported: readonly string[],
): StatusError {
  const list = supported.map((one) => JSON.stringify(one)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`;
  return invalid({ group: 'meta.k8s.io', kind }, '', [{ reason: 'FieldValueNotSupported', message, field }]);
}

/** 422: a query of a request may not be there. */
export function forbiddenOption(kind: string, field: string, why: string): StatusError {
  const cause = { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field };
  return invalid({ group: 'meta.k8s.io', kind }, '', [cause]);
}

/** 410: the version asked for is older than the history that is kept, or of another history. */
export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message);
}

/** The Status of a success that has no object to show. */
export function successStatus(details?: StatusDetails): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
  };
}
