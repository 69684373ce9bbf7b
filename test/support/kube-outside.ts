import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FABRIC_ADDRESSES } from '../../src/local/cluster-layout.ts';
import { runCommand } from '../../src/local/run-command.ts';
import type { KubeCluster } from './kube-cluster.ts';

const PORT = 8099;
const SERVER = `
  const { createServer } = require('node:http');
  createServer((request, response) => response.end(request.socket.remoteAddress.replace('::ffff:', '') + ':' + request.socket.remotePort))
    .listen(${PORT}, '::', () => console.log('listens'));
  process.stdin.resume().on('end', () => process.exit());`;

/** A machine beside the cluster's nodes: neither a pod's nor a node's address. */
export class Outside implements Disposable {
  /** Its addresses, IPv4 first. */
  readonly addresses: readonly string[] = FABRIC_ADDRESSES;
  /** Where it answers any GET with the address that it came from. */
  readonly port = PORT;
  readonly #netns: string;
  readonly #server: ChildProcess;

  private constructor(netns: string, server: ChildProcess) {
    this.#netns = netns;
    this.#server = server;
  }

  static async start(cluster: KubeCluster): Promise<Outside> {
    const netns = `${cluster.layout.netnsDirectory}/${cluster.layout.fabric}`;
    const server = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', SERVER], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: server.stdout }), 'line', { signal: AbortSignal.timeout(10_000) });
    return new Outside(netns, server);
  }

  /** GET from outside. @throws Error with what curl complained of */
  async get(hostPort: string, path = '/clientip'): Promise<string> {
    const url = `http://${hostPort}${path}`;
    return (await this.run('curl', '-sS', '-m', '5', url)).trim();
  }

  /** Runs a command there. @throws Error with what it complained of */
  run(...words: readonly string[]): Promise<string> {
    return runCommand('nsenter', [`--net=${this.#netns}`, ...words], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
  }

  [Symbol.dispose](): void {
    this.#server.stdin?.end();
  }
}
