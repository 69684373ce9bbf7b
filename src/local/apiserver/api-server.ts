import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setMaxListeners } from 'node:events';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { Authenticator, type Token } from './authenticator.ts';
import { builtinKinds } from './builtin-kinds.ts';
import { customKind } from './custom-kind.ts';
import { Deletion } from './deletion.ts';
import { Dispatcher } from './dispatcher.ts';
import { expireEvents } from './event-expiry.ts';
import { KindRegistry } from './kind.ts';
import { NamespaceCleaner } from './namespace-cleaner.ts';
import type { NodeProxy } from './node-proxy.ts';
import { NodeMonitor } from './node-monitor.ts';
import { ObjectService } from './object-service.ts';
import { openApiDocuments } from './open-api.ts';
import { Scheduler } from './scheduler.ts';
import { Store } from './store.ts';
import { WatchHub } from './watch-hub.ts';
import type { WatchLimits } from './watch-stream.ts';

/** What an API server is made of. */
export interface ApiServerOptions {
  /** The database: a file, or `:memory:`. */
  readonly storage: string;
  /** CustomResourceDefinitions (apiextensions.k8s.io/v1), parsed. */
  readonly crds: readonly unknown[];
  readonly tokens: readonly Token[];
  /** PEM; plain HTTP without. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The way to the nodes' runtimes; logs and exec get 503 without. */
  readonly nodeProxy?: NodeProxy | undefined;
  /** How many changes watches can go back; 2,000 when not given. */
  readonly historyLimit?: number;
  readonly watchLimits?: WatchLimits;
}

/** Where to listen: an address, or a listening socket that was inherited. */
export type ListenTarget = { readonly host: string; readonly port: number } | { readonly fd: number };

/** A running API server. */
export interface ApiServer {
  /** Listens, perhaps in several places. @returns the port, for when it was 0; 0 for a socket that has none */
  listen(target: ListenTarget): Promise<{ port: number }>;
  /** Ends all connections and closes the database; once, however often it is called. */
  close(): Promise<void>;
}

const WATCH_LIMITS: WatchLimits = { backlogBytes: 16 * 1024 * 1024, bookmarkMs: 30_000 };
const FIRST_NAMESPACES = ['default', 'kube-system'];

/**
 * Starts an API server: the part of the Kubernetes API that our own parts, the demo and kubectl use.
 *
 * @throws Error for CustomResourceDefinitions that it can't serve, and a database that it can't open.
 */
export function createApiServer(options: ApiServerOptions): ApiServer {
  return new EmbeddedApiServer(options);
}

class EmbeddedApiServer implements ApiServer {
  readonly #store: Store;
  readonly #dispatcher: Dispatcher;
  readonly #tls: ApiServerOptions['tls'];
  readonly #abort = new AbortController();
  readonly #servers: Server[] = [];
  readonly #cleaner: NamespaceCleaner;
  readonly #scheduler: Scheduler;
  /** Ends with the server's signal. */
  readonly #loops: Promise<unknown>;
  #closed: Promise<void> | undefined;

  constructor(options: ApiServerOptions) {
    const { storage, crds, tokens, tls, clock, log, historyLimit, watchLimits = WATCH_LIMITS, nodeProxy } = options;
    const registry = new KindRegistry([...builtinKinds(), ...crds.map((crd) => customKind(crd))]);
    const store = new Store(storage, historyLimit);
    const hub = new WatchHub();
    const objects = new ObjectService(store, clock);
    const deletion = new Deletion(store, objects, clock);
    store.onChange = (change) => hub.publish(change);
    const { signal } = this.#abort;
    // One listener for each open watch.
    setMaxListeners(0, signal);
    this.#store = store;
    this.#tls = tls;
    const backend = { store, hub, clock, limits: watchLimits, objects, deletion };
    const authenticator = new Authenticator(tokens);
    const openApi = openApiDocuments(registry);
    this.#dispatcher = new Dispatcher({ registry, openApi, backend, authenticator, nodeProxy, log, signal });
    const namespaces = registry.byKey('namespaces');
    for (const name of FIRST_NAMESPACES)
      if (store.get('namespaces', '', name) === undefined)
        objects.create(namespaces, '', { metadata: { name } }, { dryRun: false });
    const loop = { store, hub, objects, deletion, registry, clock, log };
    this.#cleaner = new NamespaceCleaner(loop);
    this.#scheduler = new Scheduler(loop);
    this.#cleaner.start();
    this.#scheduler.start();
    this.#loops = Promise.all([expireEvents(loop, signal), new NodeMonitor(loop).run(signal)]);
  }

  async listen(target: ListenTarget): Promise<{ port: number }> {
    const server = this.#tls === undefined ? createServer() : createTlsServer(this.#tls);
    server.on('request', (req, res) => void this.#dispatcher.handle(req, res));
    server.on('upgrade', (req, socket, head) => void this.#dispatcher.upgrade(req, socket, head));
    // Watches last; only the wait for a request's head and body is bounded.
    server.requestTimeout = 60_000;
    // Longer than clients keep idle connections, so that none is closed under a request.
    server.keepAliveTimeout = 120_000;
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(target, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const address = server.address();
    return { port: typeof address === 'object' && address !== null ? address.port : 0 };
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
    await Promise.all([this.#cleaner.stop(), this.#scheduler.stop(), this.#loops]);
    this.#store.close();
  }
}
