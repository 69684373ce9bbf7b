import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { waitFor } from '../src/lib/wait-for.ts';
import { kubeconfigText } from '../src/local/pki.ts';
import { NETWORK_POLICIES, PODS } from '../src/objects/resources.ts';
import { FakeApiServer } from '../test/support/fake-api-server.ts';
import { TestNetns } from '../test/support/netns.ts';
import { RigHost } from '../test/support/rig-host.ts';
import {
  CLIENT_LABELS,
  CLIENT_NAMESPACE,
  clusterObjects,
  type Made,
  NODE,
  nodeAddress,
  type PeersBy,
  podObject,
  policyObject,
} from './policy-world.ts';

/** Nodes of the cluster, all with as many pods. */
export const HOSTS = 40;
/** ADDs at a time, while pods are only made. */
const LANES = 4;
const CHECKOUT = resolve(import.meta.dirname, '..');
const LAUNCHER = join(CHECKOUT, '.cache/launcher/romana');
const QUIET_MS = 300;
const PATIENCE_MS = 120_000;

/** A pod of the rig that is connected. */
export interface BenchPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly containerId: string;
  readonly ns: TestNetns;
  readonly addresses: readonly string[];
}

/** One host of a large cluster: the real agent, its pods, and an API server in memory that has the rest. */
export class PolicyRig {
  readonly api: FakeApiServer;
  readonly host: RigHost;
  /** Where other hosts are: it has all their addresses that it is given. */
  readonly elsewhere: TestNetns;
  readonly #kubeconfig: string;
  readonly #program: string;
  readonly #stack: AsyncDisposableStack;
  #policies: readonly Made[] = [];
  #number = 0;

  private constructor(
    parts: Pick<PolicyRig, 'api' | 'host' | 'elsewhere'>,
    { kubeconfig, program }: { readonly kubeconfig: string; readonly program: string },
    stack: AsyncDisposableStack,
  ) {
    this.api = parts.api;
    this.host = parts.host;
    this.elsewhere = parts.elsewhere;
    this.#kubeconfig = kubeconfig;
    this.#program = program;
    this.#stack = stack;
  }

  static async start(): Promise<PolicyRig> {
    await using stack = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), 'romana-policy-'));
    stack.defer(() => rmSync(directory, { recursive: true }));
    const ns = stack.use(TestNetns.create('node'));
    const elsewhere = stack.use(TestNetns.create('elsewhere'));
    const [own, other] = [nodeAddress(0), nodeAddress(1)];
    const lines = [
      `-n ${ns.name} link add eth0 type veth peer name eth0 netns ${elsewhere.name}`,
      `-n ${ns.name} address add ${own}/24 dev eth0`,
      `-n ${ns.name} link set eth0 up`,
      `-n ${elsewhere.name} address add ${other}/24 dev eth0`,
      `-n ${elsewhere.name} link set eth0 up`,
      `-n ${elsewhere.name} route add 10.0.0.0/16 via ${own}`,
    ];
    for (const line of lines) execFileSync('ip', line.split(' '));
    const host = stack.use(await RigHost.start(NODE, ns, [own, ''], join(directory, NODE)));
    const api = stack.use(new FakeApiServer());
    const kubeconfig = join(directory, 'kubeconfig');
    const server = await api.listen(ns);
    writeFileSync(kubeconfig, kubeconfigText({ name: 'policy', server, ca: '', token: 'none' }));
    const program = shippedProgram(join(directory, 'program'));
    const rig = new PolicyRig({ api, host, elsewhere }, { kubeconfig, program }, stack.move());
    try {
      rig.make(clusterObjects(HOSTS));
      await rig.startAgent();
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
    return rig;
  }

  /** Starts the agent. @returns the seconds until it connects pods */
  async startAgent(): Promise<number> {
    const began = performance.now();
    await this.host.startAgent(this.#kubeconfig, ['--launcher', LAUNCHER], this.#program);
    return (performance.now() - began) / 1000;
  }

  /** Makes objects, as fast as it goes. */
  make(all: readonly Made[]): void {
    for (const { resource, object, namespace } of all) this.api.client.store.create(resource, object, namespace);
  }

  /** Makes so many policies of the cluster be there, of those by `by`, and waits until they are in force. */
  async policies(count: number, by: PeersBy = 'labels'): Promise<void> {
    const { store } = this.api.client;
    const next = Array.from({ length: count }, (_, n) => policyObject(n, by));
    for (const { namespace, object } of this.#policies) {
      store.delete(NETWORK_POLICIES, `${namespace}/${nameOf(object)}`, {});
    }
    this.make(next);
    this.#policies = next;
    await this.settled();
  }

  /** Waits until the agent has nothing to do. */
  async settled(): Promise<void> {
    let last = -1;
    await waitFor(
      'the agent to have nothing to do',
      async () => {
        await setTimeout(QUIET_MS);
        const metrics = await this.host.metrics();
        const now = [...metrics].filter(([name]) => /plan_seconds_count|watch_events/.test(name));
        const sum = now.reduce((total, [, value]) => total + value, 0);
        const same = sum === last;
        last = sum;
        return same;
      },
      { timeoutMs: PATIENCE_MS },
    );
  }

  /** Makes the pods of some numbers and connects them. */
  async pods(from: number, to: number): Promise<readonly BenchPod[]> {
    const all = Array.from({ length: to - from }, (_, n) => podObject(from + n, 0));
    const waiting = all.entries();
    const made: BenchPod[] = [];
    const lane = async (): Promise<void> => {
      for (const [n, one] of waiting) made[n] = await this.#pod(one);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return made;
  }

  /** The one who may ask pod 0. */
  client(): Promise<BenchPod> {
    const spec = { nodeName: NODE, containers: [{ name: 'main', image: 'nginx' }] };
    const object = { metadata: { name: 'client', labels: CLIENT_LABELS }, spec };
    return this.#pod({ resource: PODS, namespace: CLIENT_NAMESPACE, object });
  }

  /** One call of the plugin. @returns its milliseconds, without those of starting it; and what it said */
  async call(command: 'ADD' | 'DEL', pod: Omit<BenchPod, 'addresses'>): Promise<readonly string[]> {
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`;
    const { status, json } = await this.host.cni({ command, containerId: pod.containerId, netns: pod.ns.path, args });
    if (status !== 0) throw new Error(`${command} of ${pod.name}: ${JSON.stringify(json)}\n${this.host.log}`);
    return (json.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''));
  }

  /** Links of pods that there are; the kernel takes some time to remove one. */
  links(): number {
    const devices = this.host.ns.inside(() => readFileSync('/proc/thread-self/net/dev', 'utf8'));
    return devices.match(/^ *roma/gm)?.length ?? 0;
  }

  /** Waits until so many links of pods are left. */
  async linksGone(left: number): Promise<void> {
    await waitFor('links of pods to be gone', () => this.links() <= left, { timeoutMs: PATIENCE_MS });
  }

  /** The agent's metrics whose names match, added up. */
  async sum(names: RegExp): Promise<number> {
    const matching = [...(await this.host.metrics())].filter(([name]) => names.test(name));
    return matching.reduce((total, [, value]) => total + value, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #pod({ namespace, object }: Made): Promise<BenchPod> {
    const name = nameOf(object);
    this.#number += 1;
    const ns = this.#stack.use(TestNetns.create(`p${this.#number}`));
    const { metadata } = this.api.client.store.create(PODS, object, namespace) as { metadata: { uid: string } };
    const pod = { namespace, name, uid: metadata.uid, containerId: `bench-${this.#number}`, ns };
    const addresses = await this.call('ADD', pod);
    const status = { phase: 'Running', podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) };
    await this.api.client.patch(PODS, name, { status }, { namespace, subresource: 'status' });
    return { ...pod, addresses };
  }
}

/** The program as the image has it: what runs in a checkout strips types first, which costs it memory. */
function shippedProgram(folder: string): string {
  mkdirSync(folder);
  const words = ['--disable-warning=ExperimentalWarning', join(CHECKOUT, 'image/program.ts'), folder, '0.0.0-bench'];
  execFileSync(process.execPath, words);
  return join(folder, 'src/bin/romana.js');
}

function nameOf(object: object): string {
  return (object as { metadata: { name: string } }).metadata.name;
}
