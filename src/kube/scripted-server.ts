import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as the server saw it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What a test does with one request. */
export type Answer = (seen: Seen, response: ServerResponse) => void;

/** A server on 127.0.0.1 that answers as a test says: for tests of clients against bad servers. */
export interface ScriptedServer {
  readonly url: string;
  /** All requests but those by which clients look whether it is there, and where it is. */
  readonly seen: readonly Seen[];
  /** The answer to the first of those; a good one unless a test says otherwise. */
  pulse: Answer;
  /** The answer to those that ask for the version; a high one unless a test says otherwise. */
  version: Answer;
  close(): Promise<void>;
}

/** Starts a scripted server; requests beyond `answers` get the last answer again. */
export async function scriptedServer(...answers: readonly Answer[]): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const { method = '', headers } = request;
      const body = Buffer.concat(chunks).toString();
      const one = { method, path: url.pathname, query: url.searchParams, headers, body };
      if (url.pathname === '/version') return made.pulse(one, response);
      if (url.searchParams.get('limit') === '1') return made.version(one, response);
      const answer = answers[Math.min(seen.length, answers.length - 1)];
      seen.push(one);
      answer?.(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const made: ScriptedServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    pulse: json({}),
    version: listOf('1000000'),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return made;
}

/** Answers with JSON. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_seen, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
}

/** Answers a list with one page. */
export function listOf(resourceVersion: string, ...items: readonly object[]): Answer {
  return json({ kind: 'List', metadata: { resourceVersion }, items });
}

/** Answers a watch with these pieces of text, then as `then` says. */
export function watchOf(pieces: readonly string[], then: 'end' | 'cut' | 'hold'): Answer {
  return (_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const piece of pieces) response.write(piece);
    if (then === 'end') response.end();
    else if (then === 'cut') setImmediate(() => response.destroy());
  };
}

/** One line of a watch. */
export function eventLine(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

/** The JSON of a Namespace with one label, for tests. */
export function namespaceJson(name: string, resourceVersion: string, color = 'none'): object {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, uid: `uid-${name}`, resourceVersion, labels: { color } },
  };
}

/** The JSON of a Status that refuses. */
export function statusJson(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}
