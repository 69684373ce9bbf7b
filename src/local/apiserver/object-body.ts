import { isObject, textAt, type ApiObject, type JsonObject, type ObjectMeta } from './api-object.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { dropEmpty } from './metadata.ts';
import { OBJECT_META_SCHEMA } from './object-meta-schema.ts';
import { validateSchema } from './schema.ts';
import { badRequest, invalid } from './status-error.ts';
import { prune } from './structural-schema.ts';

/** 400 for a body of which no object of its kind can be made. */
export function cannotBeHandled(kind: Kind, why: string): Error {
  return badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
}

function checkType(kind: Kind, body: JsonObject): void {
  const { kind: own = kind.builtin ? kind.kind : '', apiVersion = kind.builtin ? apiVersionOf(kind) : '' } = body;
  const unrecognized = `the object provided is unrecognized (must be of type ${kind.kind})`;
  if (own === '') throw badRequest(`${unrecognized}: Object 'Kind' is missing in '${JSON.stringify(body)}'`);
  const expected = apiVersionOf(kind);
  if (apiVersion !== expected)
    throw badRequest(
      `the API version in the data (${textAt({ apiVersion }, 'apiVersion')}) does not match the expected API version (${expected})`,
    );
  if (own === kind.kind) return;
  if (kind.builtin)
    throw badRequest(`the kind in the data (${textAt(body, 'kind')}) does not match the expected kind (${kind.kind})`);
  const message = `Invalid value: ${JSON.stringify(own)}: must be ${kind.kind}`;
  throw invalid({ group: kind.group, kind: String(own) }, textAt(body, 'metadata', 'name'), [
    { reason: 'FieldValueInvalid', message, field: 'kind' },
  ]);
}

/** Takes away fields that are null, as decoding into Kubernetes' Go types does. */
function dropNulls(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) dropNulls(item);
  if (!isObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    if (item === null) delete value[key];
    else dropNulls(item);
  }
}

/** What Kubernetes' Go types would not take. */
function wrongType(value: unknown, schema: JsonObject, field: string): string | undefined {
  const causes = validateSchema(value, schema, field);
  const fault = causes.find(({ reason }) => reason === 'FieldValueTypeInvalid');
  return fault === undefined ? undefined : `${fault.field}: ${fault.message}`;
}

/**
 * A body as an object of `kind`; its metadata are of the right types, but may lack the name.
 *
 * @throws StatusError 400, 422
 */
export function decodeObject(kind: Kind, body: unknown): ApiObject {
  if (!isObject(body))
    throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind}): it is no JSON object`);
  checkType(kind, body);
  const { apiVersion: _version, kind: _kind, metadata: given, ...rest } = structuredClone(body);
  const metadata = given ?? {};
  if (!isObject(metadata)) throw cannotBeHandled(kind, 'metadata must be an object');
  dropEmpty(metadata);
  if (kind.builtin) dropNulls(rest);
  const wrong =
    wrongType(metadata, OBJECT_META_SCHEMA, 'metadata') ??
    (kind.builtin ? wrongType(rest, kind.schema, '') : undefined);
  if (wrong !== undefined) throw cannotBeHandled(kind, wrong);
  prune(metadata, OBJECT_META_SCHEMA);
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: metadata as ObjectMeta, ...rest };
}

/** Puts, in place, an object into the namespace of its request. @throws StatusError 400 when it names another */
export function placeIn(kind: Kind, namespace: string, object: ApiObject): ApiObject {
  const own = object.metadata.namespace ?? '';
  if (own !== '' && own !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  if (kind.namespaced) object.metadata.namespace = namespace;
  else delete object.metadata.namespace;
  return object;
}
