import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { runCommand } from '../run-command.ts';
import { shellQuote } from '../services.ts';

/** The subprotocols that are spoken, best first (KEP-4006); v4 can't close standard input alone. */
export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

/** First byte of each message. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
/** More unsent bytes than this stop the reading of the command's output. */
const MAX_BUFFERED = 1024 * 1024;

/** What is to be run. */
export interface ExecRequest {
  /** The whole command, `nsenter` and all. */
  readonly words: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  readonly env: Record<string, string>;
}

type ExecProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/** Runs a command attached to a WebSocket, and closes that with the command's exit status. */
export function runExecSession(socket: WebSocket, request: ExecRequest): void {
  const child = start(request);
  const send = (channel: number, data: Buffer | string): void => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(data)]));
  };
  const pump = (stream: Readable, channel: number, wanted: boolean): void => {
    stream.on('data', (chunk: Buffer) => {
      if (!wanted) return;
      send(channel, chunk);
      if (socket.bufferedAmount <= MAX_BUFFERED) return;
      stream.pause();
      const timer = setInterval(() => {
        if (socket.bufferedAmount > MAX_BUFFERED && socket.readyState === socket.OPEN) return;
        clearInterval(timer);
        stream.resume();
      }, 5);
    });
  };
  pump(child.stdout, CHANNEL.stdout, request.stdout);
  pump(child.stderr, request.tty ? CHANNEL.stdout : CHANNEL.stderr, request.stderr || request.tty);
  child.stdin.on('error', () => undefined); // The command need not read its input.
  if (!request.stdin && !request.tty) child.stdin.end();

  const finish = (status: object): void => {
    send(CHANNEL.error, JSON.stringify({ metadata: {}, ...status }));
    socket.close(1000);
  };
  child.on('error', (error) =>
    finish({ status: 'Failure', reason: 'InternalError', message: error.message, code: 500 }),
  );
  child.on('close', (code, signal) => finish(exitStatus(signal === null ? (code ?? 0) : 137)));

  socket.on('message', (data) => receive(toBuffer(data), child, request.tty));
  socket.on('close', () => child.stdin.end());
  socket.on('error', () => child.stdin.end());
}

/** The Status that says how a command ended, as the kubelet has it. */
export function exitStatus(code: number): object {
  if (code === 0) return { status: 'Success' };
  return {
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

function start({ words, tty, env }: ExecRequest): ExecProcess {
  const [file = 'false', ...args] = tty
    ? // `script` gives the command a terminal; its own output is that terminal's.
      ['script', '--quiet', '--return', '--echo', 'never', '--command', words.map(shellQuote).join(' '), '/dev/null']
    : words;
  return spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
}

function receive(message: Buffer, child: ExecProcess, tty: boolean): void {
  const channel = message[0];
  const data = message.subarray(1);
  if (channel === CHANNEL.stdin) child.stdin.write(data);
  else if (channel === CHANNEL.close && data[0] === CHANNEL.stdin) child.stdin.end();
  else if (channel === CHANNEL.resize && tty) void resize(child, data);
}

/** Sets the size of the terminal that `script` made, which its child has as standard input. */
async function resize(child: ExecProcess, data: Buffer): Promise<void> {
  try {
    const { Width, Height } = JSON.parse(data.toString()) as { Width?: unknown; Height?: unknown };
    if (typeof Width !== 'number' || typeof Height !== 'number') return;
    const inner = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0] ?? '';
    const terminal = readlinkSync(`/proc/${inner}/fd/0`);
    await runCommand('stty', ['-F', terminal, 'rows', String(Height), 'cols', String(Width)]);
  } catch {
    // The command ended, or has no terminal yet: it keeps the size it has.
  }
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
