import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import type { ClusterLayout, NodeLayout } from '../../src/local/cluster-layout.ts';
import { enterNode, runningNode } from '../../src/local/in-node.ts';
import { holdService, nodePath, releaseService } from '../../src/local/nodes.ts';
import { parseOwnKubeconfig } from '../../src/local/pki.ts';
import { powerOff } from '../../src/local/power-off.ts';
import { powerOn } from '../../src/local/power-on.ts';
import { runCommand } from '../../src/local/run-command.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');

/** A node of a test's Kubernetes, as a person at the machine has it. */
export class KubeNode {
  readonly #cluster: ClusterLayout;
  readonly layout: NodeLayout;

  constructor(cluster: ClusterLayout, layout: NodeLayout) {
    this.#cluster = cluster;
    this.layout = layout;
  }

  /** Its network namespace, as `ip netns` knows it. */
  get netns(): string {
    return this.layout.netns;
  }

  /** Of its process 1, on the machine. */
  get pid(): number {
    return runningNode(this.layout);
  }

  /** Where one of its files is on the machine, while it is on. */
  file(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Runs a command there. @returns what it printed @throws Error with what it complained of */
  run(...words: readonly string[]): Promise<string> {
    const env = {
      PATH: nodePath(this.#cluster, CHECKOUT),
      HOME: '/root',
      CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: '1',
    };
    return runCommand('nsenter', [...enterNode(this.pid), ...words], { env });
  }

  /** Runs a shell script there. */
  sh(script: string): Promise<string> {
    return this.run('sh', '-euc', script);
  }

  /** Ends a service at once and keeps it down until `release`. */
  async hold(service: string): Promise<void> {
    holdService(this.layout, service);
    await this.kill(service);
  }

  /** Lets a service start again that is held. */
  release(service: string): void {
    releaseService(this.layout, service);
  }

  /** Ends a service, which starts again in 0.5 s: by SIGKILL, or by the signal given. */
  async kill(service: string, signal = 'KILL'): Promise<void> {
    await this.sh(`kill -${signal} "$(cat /run/romana-node/${service}.pid)"`);
  }

  /** Sends a signal to what runs in the node's containers with these words in its command line. @throws Error if nothing does */
  async signalProgram(words: string, signal: 'KILL' | 'STOP'): Promise<void> {
    // The shell's own command line has the words, too, but does not match this.
    const pattern = words.replace(' ', '[ ]');
    const found = await this.sh(
      `for p in /proc/[0-9]*; do
        if tr '\\0' ' ' 2>/dev/null <"$p/cmdline" | grep -q '${pattern}'; then kill -${signal} "\${p#/proc/}"; echo "$p"; fi
      done`,
    );
    if (found === '') throw new Error(`no '${words}' runs on ${this.layout.name}`);
  }

  /** Cuts its power; with `shutdown` it ends its pods and services first. */
  async powerOff(how: 'cut' | 'shutdown' = 'cut'): Promise<void> {
    await powerOff(this.#cluster, this.layout, how);
  }

  /** Boots it, and waits until it is Ready. */
  async powerOn(): Promise<void> {
    await powerOn({
      layout: this.#cluster,
      nodes: [this.layout],
      checkout: CHECKOUT,
      connect: (file) => new HttpKubeClient(parseOwnKubeconfig(readFileSync(file, 'utf8')).connection),
      signal: new AbortController().signal,
      readyMs: 180_000,
    });
  }

  /** Takes its disk out while it is off: it boots as a new machine of the same name and address. */
  replaceDisk(): void {
    rmSync(`${this.layout.directory}/disk`, { recursive: true });
  }
}
