import dgram from 'node:dgram';
import net from 'node:net';
import type { StreamCounts, StreamRequest } from './probe.ts';

/** Ticks to one TCP connection, which costs more than a datagram. */
const TICKS_A_CONNECTION = 4;
/** Datagrams on their way for which nothing has come back for so long are lost, in milliseconds. */
const SILENCE_MS = 2_000;

/**
 * Numbered packets to an echo server, until told to stop: at each tick a datagram of one lasting flow and the first one
 * of a new flow, and now and then a new TCP connection with one exchange. What came back is counted by its number.
 */
export class ProbeStream {
  readonly #request: StreamRequest;
  readonly #lasting: dgram.Socket;
  readonly #timer: NodeJS.Timeout;
  readonly #echoed = new Set<string>();
  readonly #open = new Set<{ close: () => void }>();
  readonly #counts = { sent: 0, connects: 0, connected: 0 };
  #ticks = 0;
  #heard = performance.now();

  constructor(request: StreamRequest) {
    this.#request = request;
    this.#lasting = this.#socket();
    this.#timer = setInterval(() => this.#tick(), request.everyMs);
  }

  /** Sends no more, waits for what is on its way, and counts. */
  async stop(): Promise<StreamCounts> {
    clearInterval(this.#timer);
    this.#heard = performance.now();
    while (!this.#complete() && performance.now() - this.#heard < SILENCE_MS) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#lasting.close();
    for (const each of this.#open) each.close();
    return { ...this.#counts, echoed: this.#echoed.size };
  }

  #complete(): boolean {
    const { sent, connects, connected } = this.#counts;
    return this.#echoed.size === sent && connected === connects;
  }

  #tick(): void {
    this.#ticks += 1;
    this.#send(this.#lasting, `lasting ${this.#ticks}`);
    const socket = this.#socket();
    const end = this.#expire(() => socket.close());
    socket.once('message', () => end());
    this.#send(socket, `new ${this.#ticks}`);
    if (this.#ticks % TICKS_A_CONNECTION === 0) this.#connect(`connection ${this.#ticks}`);
  }

  #socket(): dgram.Socket {
    const socket = dgram.createSocket(this.#request.address.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      this.#heard = performance.now();
      this.#echoed.add(data.toString());
    });
    return socket;
  }

  #send(socket: dgram.Socket, text: string): void {
    this.#counts.sent += 1;
    socket.send(text, this.#request.port, this.#request.address, () => undefined);
  }

  #connect(text: string): void {
    this.#counts.connects += 1;
    const socket = net.connect({ host: this.#request.address, port: this.#request.port });
    const end = this.#expire(() => socket.resetAndDestroy());
    socket.on('error', () => undefined);
    socket.once('connect', () => socket.write(text));
    socket.once('data', () => {
      this.#counts.connected += 1;
      this.#heard = performance.now();
      end();
    });
  }

  /** Calls `close` when the time for an answer is over, or by what it gives, once. */
  #expire(close: () => void): () => void {
    const entry = {
      close: (): void => {
        clearTimeout(timer);
        if (this.#open.delete(entry)) close();
      },
    };
    const timer = setTimeout(entry.close, this.#request.answerMs);
    this.#open.add(entry);
    return entry.close;
  }
}
