import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Clock } from '../../lib/clock.ts';
import { writeLog } from './container-logs.ts';
import { enterContainer } from './enter-container.ts';
import { EXEC_PROTOCOLS, runExecSession } from './exec-session.ts';
import { lastRun, logFile } from './log-files.ts';
import type { ContainerRecord, PodRecord } from './pod-record.ts';

/** What the server needs. */
export interface KubeletServerOptions {
  /** 10250; 0 takes a free one. */
  readonly port: number;
  readonly host?: string;
  /** Asked of every request as a bearer token. */
  readonly token: string;
  /** The pods that are here now. */
  readonly pods: () => readonly PodRecord[];
  readonly logDirectory: string;
  /** PATH of `nsenter` and `script`. */
  readonly path: string;
  readonly clock: Clock;
}

/** A running server. */
export interface KubeletServer {
  readonly port: number;
  close(): void;
}

interface Target {
  readonly verb: 'containerLogs' | 'exec';
  readonly pod: PodRecord;
  readonly container: string;
  readonly query: URLSearchParams;
}

/** A refusal, with its HTTP status. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Serves what the API server passes on, in the kubelet's form: `GET /containerLogs/NAMESPACE/POD/CONTAINER` and
 * WebSocket `/exec/NAMESPACE/POD/CONTAINER?command=...`.
 */
export async function startKubeletServer(options: KubeletServerOptions): Promise<KubeletServer> {
  const server: Server = createServer((request, response) => void serve(request, response, options));
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => EXEC_PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
  server.on('upgrade', (request, socket, head) => {
    try {
      const target = authorized(request, options);
      if (target.verb !== 'exec') throw new Refusal(404, 'nothing to upgrade here');
      const exec = execRequest(target, options);
      sockets.handleUpgrade(request, socket, head, (ws) => runExecSession(ws, exec));
    } catch (error) {
      refuseUpgrade(socket, error);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port, // A TCP server's address is never a string.
    close: () => {
      for (const client of sockets.clients) client.terminate();
      server.close();
      server.closeAllConnections();
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, options: KubeletServerOptions): Promise<void> {
  try {
    const target = authorized(request, options);
    if (target.verb !== 'containerLogs') throw new Refusal(400, 'exec needs a WebSocket');
    if (request.method !== 'GET') throw new Refusal(405, 'only GET');
    await serveLog(target, response, options);
  } catch (error) {
    if (response.headersSent) return void response.destroy();
    const status = error instanceof Refusal ? error.status : 500;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(`${error instanceof Error ? error.message : String(error)}\n`);
  }
}

async function serveLog(target: Target, response: ServerResponse, options: KubeletServerOptions): Promise<void> {
  const { pod, container, query } = target;
  const run = lastRun(options.logDirectory, pod, container, query.get('previous') === 'true');
  if (run === undefined) throw new Refusal(400, `container "${container}" in pod "${pod.name}" has no log (yet)`);
  const file = logFile(options.logDirectory, pod, container, run);
  const closed = new AbortController();
  response.on('close', () => closed.abort());
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  const tail = query.get('tailLines');
  await writeLog(file, response, {
    tailLines: tail === null ? undefined : Number(tail),
    follow: query.get('follow') === 'true',
    ended: () => {
      const now = options.pods().find(({ uid }) => uid === pod.uid)?.containers[container];
      return now === undefined || now.exit !== undefined || now.restartCount !== run;
    },
    clock: options.clock,
    signal: closed.signal,
  });
  response.end();
}

function execRequest(
  { pod, container, query }: Target,
  options: KubeletServerOptions,
): Parameters<typeof runExecSession>[1] {
  const found: ContainerRecord | undefined = pod.containers[container];
  if (found === undefined || found.exit !== undefined) {
    throw new Refusal(400, `container "${container}" in pod "${pod.name}" does not run`);
  }
  const command = query.getAll('command');
  if (command.length === 0) throw new Refusal(400, 'a command is needed: ?command=...');
  const flag = (...names: readonly string[]): boolean =>
    names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));
  const tty = flag('tty');
  return {
    words: enterContainer(found, command, tty ? { TERM: 'xterm' } : {}),
    stdin: flag('stdin', 'input'),
    stdout: flag('stdout', 'output'),
    stderr: flag('stderr', 'error'),
    tty,
    env: { PATH: options.path, LANG: 'C.UTF-8', SHELL: '/bin/sh' },
  };
}

/** Who may ask, and for what. @throws Refusal */
function authorized(request: IncomingMessage, options: KubeletServerOptions): Target {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${options.token}`);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Refusal(401, 'Unauthorized');
  const url = new URL(request.url ?? '/', 'http://node');
  const [verb, namespace, name, container] = url.pathname.split('/').slice(1).map(decodeURIComponent);
  if ((verb !== 'containerLogs' && verb !== 'exec') || container === undefined) throw new Refusal(404, 'no such path');
  // The newest, when a pod of that name is on its way out.
  const pod = options.pods().findLast((record) => record.namespace === namespace && record.name === name);
  if (pod === undefined) throw new Refusal(404, `pod "${namespace}/${name}" is not on this node`);
  return { verb, pod, container, query: url.searchParams };
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status = error instanceof Refusal ? error.status : 500;
  const text = `${error instanceof Error ? error.message : String(error)}\n`;
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}
