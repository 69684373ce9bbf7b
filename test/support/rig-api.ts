import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Registry } from '../../src/lib/prometheus.ts';
import { parse } from 'yaml';
import { Controller } from '../../src/controller/controller.ts';
import type { Warning } from '../../src/controller/state.ts';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { fixedToken } from '../../src/kube/token.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type ApiServer, createApiServer } from '../../src/local/apiserver/api-server.ts';
import { kubeconfigText } from '../../src/local/pki.ts';
import { NETWORKS } from '../../src/objects/resources.ts';
import { MisbehavingProxy } from './misbehaving-proxy.ts';
import type { TestNetns } from './netns.ts';

const CRDS = ['crds', 'third-party/network-policy-api'].map((folder) =>
  resolve(import.meta.dirname, '../../deploy', folder),
);
/** Short, since everybody's view of the cluster is complete only when a bookmark says so. */
const BOOKMARK_MS = 20;

/** Where the API server listens: in this process' namespace and in the fabric's. */
interface Ports {
  readonly here: number;
  readonly fabric: number;
}

/** An API server and a controller, both in this process; each can be away and come back. */
export class RigApi {
  /** The test's own, never by way of the proxy. */
  readonly client: HttpKubeClient;
  /** The token of the agents, which must not get into anything that they write. */
  readonly token: string;
  /** A file by which the hosts of the fabric find the API server. */
  readonly kubeconfig: string;
  readonly #fabric: TestNetns;
  readonly #storage: string;
  readonly #ports: Ports;
  readonly #warnings: Warning[] = [];
  /** By way of the proxy where there is one. */
  readonly #controllerClient: HttpKubeClient;
  readonly #proxy: MisbehavingProxy | undefined;
  #server: ApiServer | undefined;
  #control:
    | { readonly controller: Controller; readonly stop: AbortController; readonly done: Promise<void> }
    | undefined;

  private constructor(
    fabric: TestNetns,
    at: { readonly storage: string; readonly kubeconfig: string; readonly token: string },
    server: ApiServer,
    ports: Ports,
    proxied: { readonly proxy: MisbehavingProxy; readonly port: number } | undefined,
  ) {
    this.#fabric = fabric;
    this.#storage = at.storage;
    this.#server = server;
    this.#ports = ports;
    this.token = at.token;
    this.kubeconfig = at.kubeconfig;
    const clientOf = (port: number): HttpKubeClient =>
      new HttpKubeClient({ server: `http://127.0.0.1:${port}`, token: fixedToken(at.token) });
    this.client = clientOf(ports.here);
    this.#controllerClient = clientOf(proxied?.port ?? ports.here);
    this.#proxy = proxied?.proxy;
    this.startController();
  }

  /**
   * Starts both; the API server listens on every address of `fabric`.
   *
   * @param address the one of `fabric` that the hosts use.
   * @param directory for the kubeconfig and the database.
   * @param misbehaving whether agents and controller come to it by way of `proxy`.
   */
  static async start(fabric: TestNetns, address: string, directory: string, misbehaving = false): Promise<RigApi> {
    const token = `rig-${process.pid}-${crypto.randomUUID()}`;
    const storage = join(directory, 'api.sqlite');
    const server = makeServer(storage, token);
    const ports = await listen(server, fabric, { here: 0, fabric: 0 });
    const kubeconfig = join(directory, 'kubeconfig');
    const proxy = misbehaving ? new MisbehavingProxy(ports.here) : undefined;
    const port = (await proxy?.listen((act) => fabric.inside(act))) ?? ports.fabric;
    const proxied = proxy === undefined ? undefined : { proxy, port: await proxy.listen((act) => act()) };
    const url = `http://${address}:${port}`;
    writeFileSync(kubeconfig, kubeconfigText({ name: 'rig', server: url, ca: '', token }), { mode: 0o600 });
    return new RigApi(fabric, { storage, kubeconfig, token }, server, ports, proxied);
  }

  /** What agents and controller come to the API server by. @throws Error for a rig without one */
  get proxy(): MisbehavingProxy {
    if (this.#proxy === undefined) throw new Error('the rig was started without `proxied`');
    return this.#proxy;
  }

  /** The controller, unless it is away. */
  get controller(): Controller | undefined {
    return this.#control?.controller;
  }

  /** What the controller has told people by events. */
  get warnings(): readonly Warning[] {
    return this.#warnings;
  }

  /** Starts a controller that knows nothing yet. */
  startController(): void {
    if (this.#control !== undefined) throw new Error('RigApi: the controller is there already');
    const controller = new Controller({
      client: this.#controllerClient,
      clock: systemClock,
      log: silentLog,
      registry: new Registry(),
      lead: (work, signal) => work(signal),
      warn: (warning) => Promise.resolve(void this.#warnings.push(warning)),
    });
    const stop = new AbortController();
    this.#control = { controller, stop, done: controller.run(stop.signal) };
  }

  /** Ends the controller after the write that is under way. */
  async stopController(): Promise<void> {
    const control = this.#control;
    this.#control = undefined;
    control?.stop.abort();
    await control?.done;
  }

  /** Ends the API server; what it holds stays on file. Calls are refused until it is back. */
  async stopServer(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close();
  }

  /** Starts it again, with what is on file, where it was. */
  async startServer(): Promise<void> {
    if (this.#server !== undefined) throw new Error('RigApi: the API server is there already');
    this.#server = makeServer(this.#storage, this.token);
    await listen(this.#server, this.#fabric, this.#ports);
    // Until it has noticed the end of its old connections, our own client may send a request over one.
    await waitFor('the API server to answer', () => this.version());
  }

  /** The resource version of the last write of anybody. */
  async version(): Promise<number> {
    return Number((await this.client.list(NETWORKS)).resourceVersion);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopController();
    await Promise.all([this.client.close(), this.#controllerClient.close()]);
    await this.#proxy?.[Symbol.asyncDispose]();
    await this.stopServer();
  }
}

function makeServer(storage: string, token: string): ApiServer {
  return createApiServer({
    storage,
    crds: CRDS.flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.yaml'))
        .map((name): unknown => parse(readFileSync(join(folder, name), 'utf8'))),
    ),
    tokens: [{ token, user: 'system:romana' }],
    clock: systemClock,
    log: silentLog,
    watchLimits: { backlogBytes: 16 * 2 ** 20, bookmarkMs: BOOKMARK_MS },
  });
}

async function listen(server: ApiServer, fabric: TestNetns, ports: Ports): Promise<Ports> {
  const inFabric: Promise<{ port: number }>[] = [];
  // Without the name of an address Node makes the socket at once, that is in the fabric's namespace.
  fabric.inside(() => void inFabric.push(server.listen({ host: '', port: ports.fabric })));
  const [here, there] = await Promise.all([server.listen({ host: '127.0.0.1', port: ports.here }), ...inFabric]);
  return { here: here.port, fabric: there?.port ?? 0 };
}
