import type * as Http from 'node:http';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';

/** What a daemon shows of itself over HTTP. */
export interface HealthOptions {
  /** TCP port; 0 takes a free one. */
  readonly port: number;
  /** Address to listen on; all of them when missing. */
  readonly host?: string;
  /** The text of `/metrics` in Prometheus' exposition format, for who asks from an address; '' when he is gone. */
  readonly metrics: (remote: string) => Promise<string>;
  /** Why the daemon does not work yet, for `/readyz`; undefined when it does. */
  readonly notReady: () => string | undefined;
}

/** A running health server. */
export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/metrics`, `/healthz` and `/readyz` to GET and HEAD; everything else is 404 or 405. */
export async function startHealthServer(options: HealthOptions): Promise<HealthServer> {
  const { createServer } = http();
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type });
      response.end(request.method === 'HEAD' ? undefined : text);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(405, 'only GET and HEAD\n');
      return;
    }
    const path = (request.url ?? '/').split('?', 1)[0];
    if (path === '/healthz') {
      answer(200, 'ok\n');
    } else if (path === '/readyz') {
      const why = options.notReady();
      answer(why === undefined ? 200 : 503, `${why ?? 'ok'}\n`);
    } else if (path === '/metrics') {
      options.metrics(request.socket.remoteAddress ?? '').then(
        (text) => answer(200, text, 'text/plain; version=0.0.4; charset=utf-8'),
        (error: unknown) => answer(500, `${String(error)}\n`),
      );
    } else {
      answer(404, 'there are /metrics, /healthz and /readyz\n');
    }
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 64;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { port, host }: HealthOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** An import would look at all that node:http exports and so load the WebSocket that it offers: 9 MiB of memory. */
function http(): typeof Http {
  return createRequire(import.meta.url)('node:http') as typeof Http;
}
