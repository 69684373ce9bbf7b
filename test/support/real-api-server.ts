import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { fixedToken } from '../../src/kube/token.ts';
import { waitFor } from '../../src/lib/wait-for.ts';

const ADMIN_TOKEN = 'of-the-administrator';
/** How long it may take to answer, in milliseconds: 4 s on an idle machine. */
const START_MS = 120_000;
const STOP_MS = 20_000;

/** Where the programs of Kubernetes are that were built for the local cluster. */
export const PROGRAMS =
  process.env['ROMANA_KUBERNETES_PROGRAMS'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'romana/kubernetes');

/** Why a test with the real API server cannot run here; false when it can. For `test`'s option `skip`. */
export const noApiServer: string | false = ['etcd', 'kube-apiserver'].every((name) =>
  existsSync(join(PROGRAMS, 'bin', name)),
)
  ? false
  : `there is no Kubernetes in ${PROGRAMS}`;

/** What a test needs beside the usual. */
export interface RealApiServerOptions {
  /** Further flags of kube-apiserver. */
  readonly flags?: readonly string[];
  /** Controllers of kube-controller-manager to run, by their names; it does not run without any. */
  readonly controllers?: readonly string[];
}

/** The real etcd and kube-apiserver, alone, on loopback ports: what they answer is what a cluster answers. */
export class RealApiServer implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'romana-api-'));
  readonly #children: ChildProcess[] = [];
  readonly #clients: HttpKubeClient[] = [];
  #url = '';

  private constructor() {}

  /** Resolves when it answers. What was started before an error is gone. */
  static async start({ flags = [], controllers = [] }: RealApiServerOptions = {}): Promise<RealApiServer> {
    const server = new RealApiServer();
    try {
      await server.#start(flags);
      if (controllers.length > 0) server.#startControllers(controllers);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where it answers, with a certificate of its own making. */
  get url(): string {
    return this.#url;
  }

  /** The bearer token of the administrator. */
  get token(): string {
    return ADMIN_TOKEN;
  }

  /** As the administrator, or whoever a bearer token is of. */
  client(token: string = ADMIN_TOKEN): HttpKubeClient {
    const client = new HttpKubeClient({ server: this.#url, insecure: true, token: fixedToken(token) });
    this.#clients.push(client);
    return client;
  }

  /** A kubeconfig of the administrator. */
  kubeconfig(): string {
    const file = join(this.#folder, 'kubeconfig');
    const cluster = { server: this.#url, 'insecure-skip-tls-verify': true };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'admin', user: { token: ADMIN_TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      'current-context': 'test',
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    for (const child of this.#children.toReversed()) await stop(child);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(flags: readonly string[]): Promise<void> {
    const folder = this.#folder;
    const [etcdPort, peerPort, port] = await freePorts(3);
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(folder, 'tokens.csv'), `${ADMIN_TOKEN},admin,1,"system:masters"\n`);
    const etcd = `http://127.0.0.1:${etcdPort}`;
    const peer = `http://127.0.0.1:${peerPort}`;
    this.#spawn('etcd', [
      `--data-dir=${folder}/etcd`,
      '--unsafe-no-fsync',
      '--log-level=warn',
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
    ]);
    const apiServer = this.#spawn('kube-apiserver', [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      `--cert-dir=${folder}/certificates`,
      `--token-auth-file=${folder}/tokens.csv`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${folder}/sa.pub`,
      `--service-account-signing-key-file=${folder}/sa.key`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      '--service-cluster-ip-range=10.96.0.0/16,fd96::/112',
      ...flags,
    ]);
    this.#url = `https://127.0.0.1:${port}`;
    const client = this.client();
    const ready = async (): Promise<true | undefined> => {
      if (apiServer.exitCode !== null) throw new Error(`kube-apiserver has ended: ${this.#log('kube-apiserver')}`);
      return client.raw('GET', '/readyz').then(
        () => true,
        () => undefined,
      );
    };
    await waitFor('kube-apiserver to be ready', ready, { timeoutMs: START_MS, everyMs: 200 });
  }

  #startControllers(controllers: readonly string[]): void {
    const kubeconfig = this.kubeconfig();
    this.#spawn('kube-controller-manager', [
      `--controllers=${controllers.join(',')}`,
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      '--secure-port=0',
    ]);
  }

  #spawn(name: string, words: readonly string[]): ChildProcess {
    const log = openSync(join(this.#folder, `${name}.log`), 'a');
    const child = spawn(join(PROGRAMS, 'bin', name), words, { stdio: ['ignore', log, log] });
    this.#children.push(child);
    return child;
  }

  #log(name: string): string {
    return readFileSync(join(this.#folder, `${name}.log`), 'utf8').slice(-2_000);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(late);
}

/** Ports of 127.0.0.1 that nobody has at this moment. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
