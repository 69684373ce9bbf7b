import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Doors, Ports } from './orders.ts';

/** What the server says to whoever talks to it. */
export interface Greeting {
  /** Its own name. */
  readonly name: string;
  /** The address that it sees the other at. */
  readonly you: string;
  /** What was said at its shut door, the latest last. */
  readonly heard: readonly string[];
}

/** As many of the words that came to the shut door are remembered. */
const MAX_HEARD = 200;
/** The longest first line of a connection, and the longest datagram that is answered, in bytes. */
const MAX_LINE_BYTES = 256;
/** The most that a connection may want back, in bytes. */
const MAX_ECHO_BYTES = 1024 * 1024;
/** A connection that says nothing for so long is closed, in milliseconds. */
const IDLE_MS = 10_000;

/** How a server is set up. */
export interface EchoOptions {
  readonly name: string;
  /** '' is every address that the pod has, in both families where the kernel has both. */
  readonly address: string;
  /** 0 is any that is free. */
  readonly open: number;
  readonly shut: number;
}

/**
 * Answers at two doors, each TCP and UDP. A connection's first line is `WORD BYTES`, then come so many bytes, and so
 * many go back behind a line that is the `Greeting`; a datagram is a word, and its answer the greeting and the word.
 */
export class EchoServer {
  readonly doors: Doors;
  readonly #close: () => void;

  private constructor(doors: Doors, close: () => void) {
    this.doors = doors;
    this.#close = close;
  }

  /** @throws Error with errno (EADDRINUSE, EADDRNOTAVAIL) where it can't listen */
  static async start(o: EchoOptions): Promise<EchoServer> {
    const heard: string[] = [];
    const opened: { close(): unknown }[] = [];
    const greet = (you: string): Greeting => ({ name: o.name, you: plain(you), heard });
    const door = async (port: number, hear: (word: string) => void): Promise<Ports> => {
      const tcp = createServer((socket) => serve(socket, greet, hear));
      opened.push(tcp);
      const udp = await openUdp(o.address, port);
      opened.push(udp);
      udp.on('message', (data, from) => {
        if (data.length > MAX_LINE_BYTES) return;
        const word = data.toString();
        hear(word);
        // One that went away meanwhile needs no answer.
        udp.send(JSON.stringify({ ...greet(from.address), word }), from.port, from.address, () => undefined);
      });
      return { tcp: await openTcp(tcp, o.address, port), udp: udp.address().port };
    };
    const close = (): void => {
      for (const one of opened) one.close();
    };
    try {
      const open = await door(o.open, () => undefined);
      const shut = await door(o.shut, (word) => {
        heard.push(word);
        if (heard.length > MAX_HEARD) heard.shift();
      });
      return new EchoServer({ address: o.address, open, shut }, close);
    } catch (error) {
      close();
      throw error;
    }
  }

  close(): void {
    this.#close();
  }
}

async function openTcp(server: Server, address: string, port: number): Promise<number> {
  // Without an address Node listens on `::`, or on 0.0.0.0 where the kernel has no IPv6.
  server.listen(address === '' ? { port } : { port, host: address });
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error(`TCP port ${port} came without a number`);
  return bound.port;
}

async function openUdp(address: string, port: number): Promise<UdpSocket> {
  const bind = async (type: 'udp4' | 'udp6'): Promise<UdpSocket> => {
    const socket = createSocket(type);
    try {
      socket.bind(address === '' ? { port } : { port, address });
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.on('error', () => undefined); // What an answer came to is the other side's to see.
    return socket;
  };
  if (address !== '') return await bind(address.includes(':') ? 'udp6' : 'udp4');
  try {
    return await bind('udp6');
  } catch (error) {
    if (!['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return await bind('udp4');
  }
}

function serve(socket: Socket, greet: (you: string) => Greeting, hear: (word: string) => void): void {
  let line = '';
  let wanted: number | undefined;
  let got = 0;
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    if (wanted === undefined) {
      line += chunk.toString('latin1');
      const end = line.indexOf('\n');
      if (end < 0) return line.length > MAX_LINE_BYTES ? void socket.destroy() : undefined;
      const [word = '', bytes = ''] = line.slice(0, end).split(' ');
      wanted = Number(bytes);
      got = line.length - end - 1;
      if (!Number.isSafeInteger(wanted) || wanted < 0 || wanted > MAX_ECHO_BYTES) return void socket.destroy();
      hear(word);
    } else got += chunk.length;
    if (got < wanted) return;
    socket.end(`${JSON.stringify(greet(socket.remoteAddress ?? ''))}\n${'.'.repeat(wanted)}`);
  });
}

/** An IPv4 address without the IPv6 form that a socket for both families gives it (RFC 4291 2.5.5.2). */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
}
