import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { arrayAt, at, isObject, textAt, type ApiObject } from './api-object.ts';
import type { NodeProxy } from './node-proxy.ts';
import { badRequest, notFound, StatusError, type StatusDetails } from './status-error.ts';
import type { Store } from './store.ts';

/** A container, and the node that runs it. */
export interface ContainerPlace {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** The node's InternalIP. */
  readonly address: string;
}

const REFUSAL_LIMIT_BYTES = 64 * 1024;

/**
 * Finds the container that a request for logs or exec means.
 *
 * @param container '' for the only one.
 * @throws StatusError 400 when it isn't clear which, or the pod has no node; 404 when that is not there
 */
export function findContainer(store: Store, pod: ApiObject, container: string): ContainerPlace {
  const { name, namespace = '' } = pod.metadata;
  const names = ['initContainers', 'containers'].flatMap((list) =>
    arrayAt(pod, 'spec', list).map((c) => textAt(c, 'name')),
  );
  const main = textAt(pod, 'metadata', 'annotations', 'kubectl.kubernetes.io/default-container');
  const chosen = container || main || (names.length === 1 ? (names[0] ?? '') : '');
  if (chosen === '')
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`);
  if (!names.includes(chosen)) throw badRequest(`container ${chosen} is not valid for pod ${name}`);
  const node = textAt(pod, 'spec', 'nodeName');
  if (node === '') throw badRequest(`pod ${name} does not have a host assigned`);
  const found = store.get('nodes', '', node);
  if (found === undefined) throw notFound({ group: '', plural: 'nodes' }, node);
  const addresses = arrayAt(found, 'status', 'addresses');
  const address = textAt(
    addresses.find((a) => at(a, 'type') === 'InternalIP'),
    'address',
  );
  if (address === '')
    throw new StatusError(500, 'InternalError', `Internal error: node ${node} of pod ${name} has no InternalIP`);
  return { namespace, pod: name, container: chosen, address };
}

function nodePath(what: string, { namespace, pod, container }: ContainerPlace, query: URLSearchParams): string {
  const rest = new URLSearchParams(query);
  rest.delete('container');
  return `/${what}/${namespace}/${pod}/${container}${rest.size === 0 ? '' : `?${rest.toString()}`}`;
}

/** What a node refused, as a Status: its own when it sent one. */
async function refusalOf(response: IncomingMessage): Promise<StatusError> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > REFUSAL_LIMIT_BYTES) break;
  }
  const code = response.statusCode ?? 500;
  try {
    const status: unknown = JSON.parse(text);
    if (isObject(status) && status['kind'] === 'Status') {
      const details = isObject(status['details']) ? (status['details'] as StatusDetails) : undefined;
      return new StatusError(code, textAt(status, 'reason'), textAt(status, 'message'), details);
    }
  } catch {
    // Plain text is told as it is.
  }
  const reason = code === 404 ? 'NotFound' : code === 400 ? 'BadRequest' : 'InternalError';
  return new StatusError(code < 400 ? 500 : code, reason, `the node answered ${code}: ${text.trim()}`);
}

function unreachable(place: ContainerPlace, error: unknown): StatusError {
  const why = error instanceof Error ? error.message : String(error);
  return new StatusError(
    500,
    'InternalError',
    `error dialing the node of pod ${place.pod} at ${place.address}: ${why}`,
  );
}

/** Passes a container's log on from its node. @throws StatusError what the node refused, 500 when it is away */
export async function proxyLog(
  proxy: NodeProxy,
  place: ContainerPlace,
  query: URLSearchParams,
  res: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const ended = AbortSignal.any([gone.signal, signal]);
  let answer: IncomingMessage;
  try {
    answer = await proxy.get(place.address, nodePath('containerLogs', place, query), ended);
  } catch (error) {
    throw unreachable(place, error);
  }
  if (answer.statusCode !== 200) throw await refusalOf(answer);
  res.writeHead(200, { 'content-type': answer.headers['content-type'] ?? 'text/plain' });
  res.flushHeaders();
  // Either end may go at any time; the other then goes, too.
  await pipeline(answer, res).catch(() => undefined);
}

const PASSED_ON = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol', 'sec-websocket-extensions'];

/** Connects a client that wants a WebSocket with a container's exec on its node; passes all bytes as they are. */
export async function proxyExec(
  proxy: NodeProxy,
  place: ContainerPlace,
  query: URLSearchParams,
  client: { readonly req: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  signal: AbortSignal,
): Promise<void> {
  const headers: OutgoingHttpHeaders = { connection: 'Upgrade', upgrade: 'websocket' };
  for (const name of PASSED_ON) if (client.req.headers[name] !== undefined) headers[name] = client.req.headers[name];
  const gone = new AbortController();
  client.socket.once('close', () => gone.abort());
  const ended = AbortSignal.any([gone.signal, signal]);
  let node: Awaited<ReturnType<NodeProxy['upgrade']>>;
  try {
    node = await proxy.upgrade(place.address, nodePath('exec', place, query), headers, ended);
  } catch (error) {
    throw unreachable(place, error);
  }
  if (node.socket === undefined) throw await refusalOf(node.response);
  const raw = node.response.rawHeaders;
  const lines = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1] ?? ''}`] : []));
  client.socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
  client.socket.write(node.head);
  node.socket.write(client.head);
  const options = { signal: ended };
  const both = [pipeline(client.socket, node.socket, options), pipeline(node.socket, client.socket, options)];
  // How either end goes is the WebSocket's matter.
  await Promise.allSettled(both);
  client.socket.destroy();
  node.socket.destroy();
}
