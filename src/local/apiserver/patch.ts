import type { IncomingMessage } from 'node:http';
import { mergePatch } from '../../kube/merge-patch.ts';
import { isObject, type ApiObject, type JsonObject } from './api-object.ts';
import { mediaType, readBody, unsupportedMediaType } from './http-exchange.ts';
import type { Kind } from './kind.ts';
import { badRequest } from './status-error.ts';
import { strategicMerge } from './strategic-merge.ts';

const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';

/** What a patch makes of an object. @throws StatusError 400 */
export type Patch = (old: ApiObject) => unknown;

/**
 * Reads a merge patch (RFC 7396) or, for the kinds that take it, a strategic merge patch.
 *
 * @throws StatusError 400, 413; 415 for JSON patches, server-side apply and all else
 */
export async function readPatch(kind: Kind, req: IncomingMessage): Promise<Patch> {
  const type = mediaType(req);
  const supported = kind.builtin ? [MERGE, STRATEGIC] : [MERGE];
  if (!supported.includes(type)) throw unsupportedMediaType(type, supported);
  const body = parsePatch(await readBody(req));
  return (old) => (type === STRATEGIC ? strategicMerge(old, body) : mergePatch(old, body));
}

function parsePatch(text: string): JsonObject {
  let patch: unknown;
  try {
    patch = JSON.parse(text) as unknown;
  } catch (error) {
    throw badRequest(`error decoding patch: ${(error as Error).message}`);
  }
  if (!isObject(patch)) throw badRequest('error decoding patch: it is no JSON object');
  return patch;
}
