import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestNetns } from './netns.ts';
import { sendFromOneCpu } from './one-cpu.ts';

/**
 * What came of an attempt: an answer, a refusal (RST or ICMP port unreachable), nothing in time, or the sender's own
 * host had no way.
 */
export type Reach = 'open' | 'refused' | 'timeout' | 'unreachable';

/** How to try. */
export interface TryOptions {
  /** How long to wait for an answer, in milliseconds; 500 by default. */
  readonly timeoutMs?: number;
  /** The address to send from, which must be the namespace's own. */
  readonly source?: string;
  /** The port to send from, for UDP: the same one again is the same connection. */
  readonly sourcePort?: number;
  /** By which `giveUp` knows the attempts that it is to end. */
  readonly group?: string;
}

/** A request to the probe's program. */
export type Request =
  | { do: 'listenTcp' | 'listenUdp'; address: string; port: number }
  | { do: 'stopListening' | 'received'; protocol: 'tcp' | 'udp'; port: number }
  | { do: 'tcp' | 'open'; address: string; port: number; timeoutMs: number; source?: string; group?: string }
  | {
      do: 'udp';
      address: string;
      port: number;
      timeoutMs: number;
      source?: string;
      sourcePort?: number;
      group?: string;
      text: string;
    }
  | { do: 'giveUp'; group: string }
  | { do: 'settle' }
  | { do: 'get'; url: string }
  | { do: 'exchange'; handle: number; text: string; timeoutMs: number }
  | { do: 'close' | 'stopFlood' | 'stopStream'; handle: number }
  | { do: 'flood'; address: string; port: number; source?: string }
  | StreamRequest;

/** A request for numbered packets to an echo server. */
export interface StreamRequest {
  readonly do: 'stream';
  readonly address: string;
  readonly port: number;
  /** Between two ticks, in milliseconds: at each a datagram of one lasting flow and the first one of a new flow. */
  readonly everyMs: number;
  /** For how long a new flow or connection is kept open without an answer, in milliseconds. */
  readonly answerMs: number;
}

/** What has become of a stream. */
export interface StreamCounts {
  /** Datagrams, of the lasting flow and of new ones. */
  readonly sent: number;
  /** Those of them that came back. */
  readonly echoed: number;
  /** TCP connections that were begun. */
  readonly connects: number;
  /** Those of them over which an echo came. */
  readonly connected: number;
}

/** The program's answer to request `id`; 0 says that it is ready. */
export type Answer = { id: number; ok: true; value: unknown } | { id: number; ok: false; error: string };

const PROGRAM = fileURLToPath(new URL('probe-program.ts', import.meta.url));
const DEFAULT_TIMEOUT_MS = 500;

/** An open TCP connection to an echo server, e.g. a probe's. */
export interface Connection {
  /** Sends a line and waits for its echo; whether it came in time (500 ms). */
  exchange(options?: { readonly timeoutMs?: number }): Promise<boolean>;
  close(): Promise<void>;
}

/** A stream of UDP datagrams, as many as the machine can send. */
export interface Flood {
  /** Ends it; how many were sent. */
  stop(): Promise<number>;
}

/** Numbered packets to an echo server. */
export interface Stream {
  /** Ends it when all is back or nothing has come for 2 s. */
  stop(): Promise<StreamCounts>;
}

/**
 * One process in a network namespace that is client and echo server as told. It can do any number of things at once.
 *
 * @example
 * await using server = await Probe.start(podA);
 * await using client = await Probe.start(podB);
 * await server.listenTcp(80);
 * assert.equal(await client.tcp('10.1.17.3', 80), 'open');
 */
export class Probe {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  #ids = 0;
  #exchanges = 0;
  #ended: string | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts a probe in `ns`; it ends with a namespace of a test at the latest. */
  static async start(ns: Pick<TestNetns, 'name' | 'spawn'>): Promise<Probe> {
    const child = ns.spawn([process.execPath, PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
    const probe = new Probe(child);
    await probe.#attach(ns.name);
    if (child.pid !== undefined) sendFromOneCpu(child.pid);
    return probe;
  }

  /** Starts a TCP echo server, by default on every address of both families; port 0 picks one. Gives the port. */
  async listenTcp(port: number, address = '::'): Promise<number> {
    return (await this.#ask({ do: 'listenTcp', address, port })) as number;
  }

  /** Starts a UDP echo server, by default on every address of both families; port 0 picks one. Gives the port. */
  async listenUdp(port: number, address = '::'): Promise<number> {
    return (await this.#ask({ do: 'listenUdp', address, port })) as number;
  }

  /** Ends a server. */
  async stopListening(protocol: 'tcp' | 'udp', port: number): Promise<void> {
    await this.#ask({ do: 'stopListening', protocol, port });
  }

  /** How many connections or datagrams a server of this probe got, by source address. */
  async received(protocol: 'tcp' | 'udp', port: number): Promise<ReadonlyMap<string, number>> {
    await this.settle();
    return new Map(Object.entries((await this.#ask({ do: 'received', protocol, port })) as Record<string, number>));
  }

  /** Tries to connect. */
  async tcp(address: string, port: number, options: TryOptions = {}): Promise<Reach> {
    return (await this.#ask({ do: 'tcp', address, port, ...withTimeout(options) })) as Reach;
  }

  /** Sends one datagram to an echo server; 'open' when the echo comes. */
  async udp(address: string, port: number, options: TryOptions = {}): Promise<Reach> {
    return (await this.#ask({ do: 'udp', address, port, text: 'probe', ...withTimeout(options) })) as Reach;
  }

  /**
   * Waits until the program has dealt with all that is here for it now: what it was told before is sent, and what has
   * come to its sockets is read and answered. It reads them in any order otherwise.
   */
  async settle(): Promise<void> {
    await this.#ask({ do: 'settle' });
  }

  /** Ends all attempts of a group that have had no answer until now: their outcome is 'timeout'. */
  async giveUp(group: string): Promise<void> {
    await this.#ask({ do: 'giveUp', group });
  }

  /** The answer of an HTTP server, whatever its status. */
  async get(url: string): Promise<string> {
    return (await this.#ask({ do: 'get', url })) as string;
  }

  /**
   * Opens a TCP connection that stays.
   *
   * @throws Error that says what happened instead.
   */
  async open(address: string, port: number, options: TryOptions = {}): Promise<Connection> {
    const handle = (await this.#ask({ do: 'open', address, port, ...withTimeout(options) })) as number;
    return {
      exchange: async ({ timeoutMs = DEFAULT_TIMEOUT_MS } = {}) => {
        this.#exchanges += 1;
        const text = `exchange ${this.#exchanges}\n`;
        return (await this.#ask({ do: 'exchange', handle, text, timeoutMs })) as boolean;
      },
      close: async () => {
        await this.#ask({ do: 'close', handle });
      },
    };
  }

  /** Sends datagrams to `address` until told to stop, also while nobody is there. */
  async flood(address: string, port: number, { source }: Pick<TryOptions, 'source'> = {}): Promise<Flood> {
    const request = { do: 'flood', address, port, ...(source === undefined ? {} : { source }) } as const;
    const handle = (await this.#ask(request)) as number;
    return { stop: async () => (await this.#ask({ do: 'stopFlood', handle })) as number };
  }

  /** Sends numbered packets to the echo servers of UDP and TCP on `port` of `address` until told to stop. */
  async stream(
    address: string,
    port: number,
    { everyMs = 20, answerMs = 10_000 }: Partial<Pick<StreamRequest, 'everyMs' | 'answerMs'>> = {},
  ): Promise<Stream> {
    const handle = (await this.#ask({ do: 'stream', address, port, everyMs, answerMs })) as number;
    return { stop: async () => (await this.#ask({ do: 'stopStream', handle })) as StreamCounts };
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended !== undefined) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(request: Request): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended));
    this.#ids += 1;
    const id = this.#ids;
    const answered = this.#answer(id);
    this.#child.stdin?.write(`${JSON.stringify({ id, request })}\n`);
    return answered;
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending.set(id, (answer) => {
        if (answer.ok) resolve(answer.value);
        else reject(new Error(answer.error));
      });
    });
  }

  async #attach(where: string): Promise<void> {
    const ready = this.#answer(0);
    const output = this.#child.stdout;
    if (output === null) throw new Error('Probe: the program has no standard output');
    createInterface({ input: output }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#pending.get(answer.id)?.(answer);
      this.#pending.delete(answer.id);
    });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.once('exit', (code, signal) => {
      this.#ended = `the probe in ${where} has ended (${signal ?? `status ${code}`})`;
      for (const [id, settle] of this.#pending) settle({ id, ok: false, error: this.#ended });
      this.#pending.clear();
    });
    await ready;
  }
}

function withTimeout({ timeoutMs = DEFAULT_TIMEOUT_MS, ...source }: TryOptions): TryOptions & { timeoutMs: number } {
  return { timeoutMs, ...source };
}
