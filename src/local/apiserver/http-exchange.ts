import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseYaml } from 'yaml';
import type { JsonObject } from './api-object.ts';
import { badRequest, StatusError } from './status-error.ts';

/** A request's body may have this many bytes (etcd's limit with its usual overhead, as in Kubernetes). */
export const BODY_LIMIT_BYTES = 3 * 1024 * 1024;

/** The media type of a request's body, lower case, without parameters; '' when there is none. */
export function mediaType(req: IncomingMessage): string {
  return (req.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

// kubectl has a few commands that send nothing else, and does not try again with JSON.
const PROTOBUF_HINT =
  '; this API server takes no protobuf: where a command of kubectl sends it, add --dry-run=client -o yaml and pipe that to kubectl apply -f -';

/** 415 for a body that can't be read. */
export function unsupportedMediaType(type: string, supported: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format ${JSON.stringify(type)} - accepted media types include: ${supported.join(', ')}${type.includes('protobuf') ? PROTOBUF_HINT : ''}`;
  return new StatusError(415, 'UnsupportedMediaType', message);
}

/** A client that sends more than this is cut off; up to it, its body is read so that it gets to see the 413. */
const READ_LIMIT_BYTES = 4 * BODY_LIMIT_BYTES;

/** Reads a whole body. @throws StatusError 413 */
export async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_LIMIT_BYTES) chunks.push(chunk);
    if (size > READ_LIMIT_BYTES) break;
  }
  if (size > BODY_LIMIT_BYTES)
    throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${BODY_LIMIT_BYTES}`);
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Reads a body that is one object, as JSON or YAML; undefined when it is empty.
 *
 * @param anyType also take curl's form type as JSON, as the API server of 2016 did.
 * @throws StatusError 400, 413, 415
 */
export async function readObject(req: IncomingMessage, anyType = false): Promise<unknown> {
  const type = mediaType(req);
  const yaml = type === 'application/yaml' || type === 'text/yaml' || type === 'application/x-yaml';
  const json = type === 'application/json' || type === '';
  if (!yaml && !json && !(anyType && type === 'application/x-www-form-urlencoded'))
    throw unsupportedMediaType(type, ['application/json', 'application/yaml']);
  const text = await readBody(req);
  if (text.trim() === '') return undefined;
  try {
    // YAML 1.2 has JSON in it: what claims no type of its own may be either.
    return json ? (JSON.parse(text) as unknown) : (parseYaml(text) as unknown);
  } catch (error) {
    throw badRequest(`unable to read the body as ${yaml ? 'YAML' : 'JSON'}: ${(error as Error).message}`);
  }
}

/** How a range of an Accept header wants objects: as they are, as Tables, or in a way that is not known here. */
function formOf(range: string): 'plain' | 'table' | undefined {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  if (!['application/json', 'application/*', '*/*', ''].includes(type)) return undefined;
  const as = parameters.find((p) => p.startsWith('as='));
  if (as === undefined) return 'plain';
  const known = ['as=table', 'v=v1', 'g=meta.k8s.io'].every((p) => parameters.includes(p));
  return known && type === 'application/json' ? 'table' : undefined;
}

function acceptedForms(req: IncomingMessage): readonly ('plain' | 'table')[] {
  return (req.headers.accept ?? '*/*')
    .split(',')
    .map(formOf)
    .filter((form) => form !== undefined);
}

/** Whether the client takes JSON. @throws StatusError 406 when it takes only something else */
export function requireJson(req: IncomingMessage): void {
  const forms = acceptedForms(req);
  const shows = req.method === 'GET' || req.method === 'HEAD';
  if (forms.includes('plain') || (shows && forms.includes('table'))) return;
  const message =
    'only the following media types are accepted: application/json' +
    (shows ? ', application/json;as=Table;v=v1;g=meta.k8s.io' : '');
  throw new StatusError(406, 'NotAcceptable', message);
}

/** Whether the client wants a Table (meta.k8s.io/v1) rather than the objects. */
export function prefersTable(req: IncomingMessage): boolean {
  return acceptedForms(req)[0] === 'table';
}

/** Answers with a JSON text. */
export function sendText(res: ServerResponse, code: number, text: string): void {
  const body = Buffer.from(text);
  res.writeHead(code, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-cache, private',
  });
  res.end(body);
}

/** Answers with an object. */
export function sendObject(res: ServerResponse, code: number, object: JsonObject): void {
  sendText(res, code, JSON.stringify(object));
}
