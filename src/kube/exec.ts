import type { IncomingMessage } from 'node:http';
import type { RawData, WebSocket } from 'ws';
import { PODS } from '../objects/resources.ts';
import { ApiError } from './client.ts';
import { authorization, tlsOptions, type Connection } from './connection.ts';
import { asRecord, asText } from './json.ts';
import { objectPath } from './paths.ts';
import { errorOfResponse, errorOfStatus } from './status.ts';

/** Best first (KEP-4006); with v4, of older servers, standard input can't be ended while the command runs. */
const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** First byte of each message. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** The most of each output that is collected, in bytes. */
const MAX_COLLECTED = 16 * 2 ** 20;

/** Until the server has answered the upgrade, in milliseconds. */
const HANDSHAKE_MS = 10_000;

/** How large a person's terminal is, in characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** What to run, and where its input comes from and its output goes. */
export interface ExecOptions {
  readonly namespace: string;
  readonly pod: string;
  /** The pod's first when absent. */
  readonly container?: string | undefined;
  readonly command: readonly string[];
  readonly stdin?: AsyncIterable<Uint8Array | string> | undefined;
  /** Gets the output as it comes; absent: it is collected in the result. */
  readonly onStdout?: ((chunk: Buffer) => void) | undefined;
  readonly onStderr?: ((chunk: Buffer) => void) | undefined;
  /** With a terminal of this size, stderr comes with stdout; later sizes are taken as they come. */
  readonly tty?: { readonly size: TerminalSize; readonly sizes?: AsyncIterable<TerminalSize> } | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a command in a pod ended, and what it wrote if nobody else took it. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function execUrl(connection: Connection, o: ExecOptions): string {
  const query = new URLSearchParams({ stdout: 'true', stderr: String(o.tty === undefined) });
  if (o.stdin !== undefined) query.set('stdin', 'true');
  if (o.tty !== undefined) query.set('tty', 'true');
  if (o.container !== undefined) query.set('container', o.container);
  for (const word of o.command) query.append('command', word);
  const base = connection.server.replace(/^http/, 'ws').replace(/\/+$/, '');
  return `${base}${objectPath(PODS, o.pod, o.namespace, 'exec')}?${query.toString()}`;
}

/** The refusal of an upgrade as the error that its Status stands for. */
async function refusal(what: string, response: IncomingMessage): Promise<Error> {
  let body = '';
  response.setEncoding('utf8');
  for await (const chunk of response) if (body.length < 65_536) body += String(chunk);
  return errorOfResponse(what, response.statusCode ?? 0, response.headers['retry-after'], body);
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/**
 * The exit status that the error channel's Status tells (as the kubelet writes it).
 *
 * @throws ApiError if the command could not be run at all.
 */
export function exitCodeOf(status: unknown): number {
  const s = asRecord(status);
  if (s?.['status'] === 'Success') return 0;
  const error = errorOfStatus(status, 500);
  const code = error.details.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (asText(s?.['reason']) === 'NonZeroExitCode' && code !== undefined && /^\d{1,3}$/.test(code)) return Number(code);
  throw error;
}

/** Takes one output: hands it on, or collects it within a bound. */
function sink(name: string, given: ((chunk: Buffer) => void) | undefined) {
  const chunks: Buffer[] = [];
  let length = 0;
  return {
    take: (chunk: Buffer): void => {
      if (given !== undefined) return given(chunk);
      length += chunk.length;
      if (length > MAX_COLLECTED) throw new Error(`${name} of the command is longer than ${MAX_COLLECTED} bytes`);
      chunks.push(chunk);
    },
    text: (): string => Buffer.concat(chunks).toString(),
  };
}

async function send(socket: WebSocket, channel: number, data: Uint8Array | string): Promise<void> {
  if (socket.readyState !== socket.OPEN) return;
  await new Promise<void>((resolve) => {
    // An error shows as the socket's own end.
    socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(data)]), () => resolve());
  });
}

async function sendInput(socket: WebSocket, o: ExecOptions): Promise<void> {
  if (o.stdin === undefined) return;
  for await (const chunk of o.stdin) {
    if (socket.readyState !== socket.OPEN) return;
    await send(socket, CHANNEL.stdin, chunk);
  }
  if (socket.protocol === PROTOCOLS[0]) await send(socket, CHANNEL.close, Buffer.of(CHANNEL.stdin));
}

async function sendSizes(socket: WebSocket, o: ExecOptions): Promise<void> {
  if (o.tty === undefined) return;
  const tell = (size: TerminalSize): Promise<void> =>
    send(socket, CHANNEL.resize, JSON.stringify({ Width: size.width, Height: size.height }));
  await tell(o.tty.size);
  for await (const size of o.tty.sizes ?? []) await tell(size);
}

/**
 * Runs a command in a container of a pod, over a WebSocket to the API server, until it ends.
 *
 * @throws ApiError if the server or the kubelet refuses; Error if the connection ends before the command does, or the
 *   reason of the signal.
 */
export async function execInPod(connection: Connection, o: ExecOptions): Promise<ExecResult> {
  const { WebSocket } = await import('ws');
  const url = execUrl(connection, o);
  const what = `exec in ${o.namespace}/${o.pod}`;
  const auth = await authorization(connection);
  o.signal?.throwIfAborted();
  const socket = new WebSocket(url, PROTOCOLS, {
    ...tlsOptions(connection),
    headers: auth === undefined ? {} : { authorization: auth },
    handshakeTimeout: HANDSHAKE_MS,
    perMessageDeflate: false,
  });
  const stdout = sink('stdout', o.onStdout);
  const stderr = sink('stderr', o.onStderr);
  const ended = Promise.withResolvers<number>();
  // Listeners are there from the start; the first of them to settle the promise has it.
  socket.on('message', (data) => {
    const message = toBuffer(data);
    try {
      if (message[0] === CHANNEL.stdout) stdout.take(message.subarray(1));
      else if (message[0] === CHANNEL.stderr) stderr.take(message.subarray(1));
      else if (message[0] === CHANNEL.error) ended.resolve(exitCodeOf(JSON.parse(message.toString('utf8', 1))));
    } catch (error) {
      ended.reject(error instanceof ApiError ? error : new Error(`${what}: unreadable answer`, { cause: error }));
    }
  });
  socket.on('unexpected-response', (_request, response) => {
    refusal(what, response).then(ended.reject, ended.reject);
  });
  socket.on('error', (cause) => ended.reject(new Error(`${what}: ${cause.message}`, { cause })));
  socket.on('close', (code) => ended.reject(new Error(`${what}: the connection ended (${code}) before the command`)));
  socket.on('open', () => {
    Promise.all([sendInput(socket, o), sendSizes(socket, o)]).catch(ended.reject);
  });
  const abort = (): void => ended.reject(o.signal?.reason as Error);
  o.signal?.addEventListener('abort', abort, { once: true });
  try {
    const exitCode = await ended.promise;
    return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    o.signal?.removeEventListener('abort', abort);
    socket.terminate();
  }
}
