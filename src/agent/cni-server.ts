import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { CniFailure, type CniError, cniError, errorJson } from '../cni/errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { CniAnswer } from './cni-handler.ts';

/** Bounds of a CNI server. */
export interface CniServerLimits {
  /** Of a request, in bytes: the launcher sends at most 1 MiB of input and 256 KiB of variables. */
  readonly requestBytes: number;
  /** Connections at a time; more are closed unanswered, which the launcher tells as 11, try again later. */
  readonly connections: number;
  /** For a request to arrive, and for its answer to be taken, in milliseconds. */
  readonly transferMs: number;
  /** For a call until it is told to end, in milliseconds. */
  readonly callMs: number;
  /** For a call until it is answered although it has not ended, in milliseconds: less than the launcher's 60 s. */
  readonly answerMs: number;
}

/** Bounds that fit the launcher's. */
export const CNI_SERVER_LIMITS: CniServerLimits = {
  requestBytes: (1 << 20) + (256 << 10) + 1,
  connections: 512,
  transferMs: 10_000,
  callMs: 40_000,
  answerMs: 50_000,
};

/** What a CNI server stands on. */
export interface CniServerOptions {
  /** Of the unix socket. */
  readonly path: string;
  readonly handle: (request: Uint8Array, signal: AbortSignal) => Promise<CniAnswer>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<CniServerLimits>;
}

/**
 * Serves the launcher's calls on a unix socket, one a connection: reads until the launcher has shut its side, then
 * writes the exit status, '\n', and what is for standard output, closed with '\n'.
 */
export class CniServer {
  readonly #options: CniServerOptions;
  readonly #limits: CniServerLimits;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #timers = new Set<() => void>();
  #inode: number | undefined;

  constructor(options: CniServerOptions) {
    this.#options = options;
    this.#limits = { ...CNI_SERVER_LIMITS, ...options.limits };
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = this.#limits.connections;
  }

  /**
   * Puts the socket (mode 0600) in its place, over one that a dead agent left.
   *
   * @throws Error when a living agent serves there: two of them would give out the same addresses.
   */
  async listen(): Promise<void> {
    const { path, log } = this.#options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    if (await isServed(path)) throw new Error(`could not listen on ${path}: another agent serves it`);
    // Made where nobody else may look, so that it never is there with another mode.
    const nursery = mkdtempSync(join(dirname(path), '.cni-'));
    try {
      const born = join(nursery, 's');
      this.#server.listen(born);
      await once(this.#server, 'listening');
      chmodSync(born, 0o600);
      this.#inode = statSync(born).ino;
      renameSync(born, path);
    } finally {
      rmSync(nursery, { recursive: true, force: true });
    }
    this.#server.on('error', (error) => log.error({ err: error }, 'the CNI socket failed'));
  }

  /** Takes the socket away and waits up to `graceMs` for the calls that are under way. */
  async close(graceMs = 10_000): Promise<void> {
    const { path } = this.#options;
    if (statSync(path, { throwIfNoEntry: false })?.ino === this.#inode) rmSync(path, { force: true });
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    const end = this.#after(graceMs, () => {
      for (const socket of this.#open) socket.destroy();
    });
    await closed;
    end();
    for (const stop of this.#timers) stop(); // of calls that go on although nobody waits for them
  }

  #accept(socket: Socket): void {
    const chunks: Buffer[] = [];
    let size = 0;
    let served = false;
    const serve = (answer: Promise<CniAnswer>): void => {
      if (served) return;
      served = true;
      timer();
      void answer.then((said) => this.#answer(socket, said));
    };
    const timer = this.#after(this.#limits.transferMs, () => serve(refusal('ioFailure', 'the request did not end')));
    this.#open.add(socket);
    socket.on('close', () => {
      timer();
      this.#open.delete(socket);
    });
    socket.on('error', (error) => this.#options.log.debug({ err: error }, 'a CNI connection broke'));
    socket.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > this.#limits.requestBytes) serve(refusal('decodingFailure', 'the request is too long'));
      else chunks.push(chunk);
    });
    socket.on('end', () => serve(this.#call(Buffer.concat(chunks))));
  }

  async #call(request: Uint8Array): Promise<CniAnswer> {
    const { handle, log } = this.#options;
    const late = cniError('tryAgainLater', 'the call could not be completed in time');
    const call = new AbortController();
    const endCall = this.#after(this.#limits.callMs, () => call.abort(new CniFailure(late)));
    const { promise: unanswered, resolve } = Promise.withResolvers<CniAnswer>();
    const endAnswer = this.#after(this.#limits.answerMs, () => resolve(failure(late)));
    try {
      return await Promise.race([handle(request, call.signal), unanswered]);
    } catch (error) {
      log.error({ err: error }, 'a CNI call threw');
      return failure(cniError('internal', 'the agent failed; see its log'));
    } finally {
      endCall();
      endAnswer();
    }
  }

  #answer(socket: Socket, { failed, json }: CniAnswer): void {
    const end = this.#after(this.#limits.transferMs, () => socket.destroy());
    socket.once('close', end);
    socket.end(`${failed ? 1 : 0}\n${json === undefined ? '' : `${JSON.stringify(json)}\n`}`, () => socket.destroy());
  }

  /** Calls `act` after `ms` milliseconds, unless the function it gives is called before, or the server closes. */
  #after(ms: number, act: () => void): () => void {
    const stop = this.#options.clock.after(ms, () => {
      this.#timers.delete(stop);
      act();
    });
    this.#timers.add(stop);
    return () => {
      stop();
      this.#timers.delete(stop);
    };
  }
}

function failure(error: CniError): CniAnswer {
  return { failed: true, json: errorJson(error) };
}

async function refusal(code: Parameters<typeof cniError>[0], msg: string): Promise<CniAnswer> {
  return failure(cniError(code, msg));
}

async function isServed(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // nothing there (ENOENT), nobody behind it (ECONNREFUSED), or no socket
  } finally {
    socket.destroy();
  }
}
