import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { Controller } from '../../src/controller/controller.ts';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { fixedToken } from '../../src/kube/token.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type ApiServer, createApiServer } from '../../src/local/apiserver/api-server.ts';
import { kubeconfigText } from '../../src/local/pki.ts';
import { NETWORKS } from '../../src/objects/resources.ts';
import type { TestNetns } from './netns.ts';

const CRDS = resolve(import.meta.dirname, '../../deploy/crds');
/** Short, since everybody's view of the cluster is complete only when a bookmark says so. */
const BOOKMARK_MS = 20;

/** An API server in memory and a controller, both in this process. */
export class RigApi {
  readonly client: HttpKubeClient;
  /** The token of the agents, which must not get into anything that they write. */
  readonly token: string;
  /** A file by which the hosts of the fabric find the API server. */
  readonly kubeconfig: string;
  readonly controller: Controller;
  readonly #server: ApiServer;
  readonly #stop = new AbortController();
  readonly #controlling: Promise<void>;

  private constructor(server: ApiServer, client: HttpKubeClient, token: string, kubeconfig: string) {
    this.#server = server;
    this.client = client;
    this.token = token;
    this.kubeconfig = kubeconfig;
    this.controller = new Controller({
      client,
      clock: systemClock,
      log: silentLog,
      registry: new Registry(),
      lead: (work, signal) => work(signal),
      warn: () => Promise.resolve(),
    });
    this.#controlling = this.controller.run(this.#stop.signal);
  }

  /**
   * Starts both; the API server listens on every address of `fabric`.
   *
   * @param address the one of `fabric` that the hosts use.
   * @param directory for the kubeconfig.
   */
  static async start(fabric: TestNetns, address: string, directory: string): Promise<RigApi> {
    const token = `rig-${process.pid}-${crypto.randomUUID()}`;
    const server = createApiServer({
      storage: ':memory:',
      crds: readdirSync(CRDS).map((name): unknown => parse(readFileSync(join(CRDS, name), 'utf8'))),
      tokens: [{ token, user: 'system:romana' }],
      clock: systemClock,
      log: silentLog,
      watchLimits: { backlogBytes: 16 * 2 ** 20, bookmarkMs: BOOKMARK_MS },
    });
    const inFabric: Promise<{ port: number }>[] = [];
    // Without the name of an address Node makes the socket at once, that is in the fabric's namespace.
    fabric.inside(() => void inFabric.push(server.listen({ host: '', port: 0 })));
    const [here, there] = await Promise.all([server.listen({ host: '127.0.0.1', port: 0 }), ...inFabric]);
    const kubeconfig = join(directory, 'kubeconfig');
    const url = `http://${address}:${there?.port}`;
    writeFileSync(kubeconfig, kubeconfigText({ name: 'rig', server: url, ca: '', token }), { mode: 0o600 });
    const client = new HttpKubeClient({ server: `http://127.0.0.1:${here.port}`, token: fixedToken(token) });
    return new RigApi(server, client, token, kubeconfig);
  }

  /** The resource version of the last write of anybody. */
  async version(): Promise<number> {
    return Number((await this.client.list(NETWORKS)).resourceVersion);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#controlling;
    await this.client.close();
    await this.#server.close();
  }
}
