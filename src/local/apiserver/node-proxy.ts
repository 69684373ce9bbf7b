import { request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';

/** What a node answered to a request to change the protocol: a connection, or why there is none. */
export type Upgrade =
  | { readonly response: IncomingMessage; readonly socket: Duplex; readonly head: Buffer }
  | { readonly response: IncomingMessage; readonly socket: undefined };

/** The way from the API server to the node runtimes. */
export interface NodeProxy {
  /**
   * Asks the runtime at `address` for `path`; the body of the answer is still to be read.
   *
   * @throws Error when the node can't be reached.
   */
  get(address: string, path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** Asks the runtime at `address` to go on in another protocol at `path`. @throws Error when it can't be reached */
  upgrade(address: string, path: string, headers: OutgoingHttpHeaders, signal: AbortSignal): Promise<Upgrade>;
}

/** Where a node's runtime listens, and what it wants to see. */
export interface NodeProxyOptions {
  /** 10250 on every node. */
  readonly port?: number;
  /** The token of the parts. */
  readonly token: string;
}

/** The way over HTTP. */
export class HttpNodeProxy implements NodeProxy {
  readonly #port: number;
  readonly #authorization: string;

  constructor({ port = 10_250, token }: NodeProxyOptions) {
    this.#port = port;
    this.#authorization = `Bearer ${token}`;
  }

  get(address: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const req = request(this.#options(address, path, {}, signal), resolve);
      req.once('error', reject);
      req.end();
    });
  }

  upgrade(address: string, path: string, headers: OutgoingHttpHeaders, signal: AbortSignal): Promise<Upgrade> {
    return new Promise((resolve, reject) => {
      const req = request(this.#options(address, path, headers, signal));
      req.once('upgrade', (response, socket, head) => resolve({ response, socket, head }));
      req.once('response', (response) => resolve({ response, socket: undefined }));
      req.once('error', reject);
      req.end();
    });
  }

  #options(host: string, path: string, headers: OutgoingHttpHeaders, signal: AbortSignal): object {
    const all = { ...headers, authorization: this.#authorization };
    return { host, port: this.#port, path, headers: all, signal, agent: false, setHost: true };
  }
}
