import { readFileSync } from 'node:fs';
import { type Address, parseAddress } from '../../src/addr/address.ts';
import { isConflict, isNotFound, type KubeClient } from '../../src/kube/client.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { PODS } from '../../src/objects/resources.ts';
import { TestNetns } from './netns.ts';
import { Probe } from './probe.ts';
import { type CniAnswer, CONTROL_PORT, type RigHost } from './rig-host.ts';

/** The ports on which every pod echoes TCP and UDP. */
export const PORTS = [80, 81] as const;

/** A network namespace for a pod, with a probe that echoes; pods may have it one after the other. */
export class Sandbox {
  readonly ns: TestNetns;
  readonly probe: Probe;

  private constructor(ns: TestNetns, probe: Probe) {
    this.ns = ns;
    this.probe = probe;
  }

  static async create(label: string): Promise<Sandbox> {
    const ns = TestNetns.create(label);
    const probe = await Probe.start(ns);
    const ports = [...PORTS, CONTROL_PORT];
    await Promise.all(ports.flatMap((port) => [probe.listenTcp(port), probe.listenUdp(port)]));
    return new Sandbox(ns, probe);
  }

  /** Whether an eth0 is there. */
  hasLink(): boolean {
    return this.ns.inside(() => readFileSync('/proc/thread-self/net/dev', 'utf8')).includes('eth0:');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ns[Symbol.asyncDispose]();
  }
}

/** What a pod is to be. */
export interface PodSpec {
  readonly namespace: string;
  readonly name: string;
  readonly host: RigHost;
  readonly labels?: Readonly<Record<string, string>>;
  /** Container ports, by which policies may name them. */
  readonly ports?: readonly { readonly name: string; readonly containerPort: number; readonly protocol?: string }[];
  /** A namespace alone for a pod that nobody talks to. */
  readonly sandbox: Sandbox | TestNetns;
}

/** The CNI error for what may succeed later. */
const TRY_AGAIN = 11;
/** How long the runtime keeps trying, in milliseconds. */
const PATIENCE_MS = 40_000;
/** What a pod that is told to end is given for it, in seconds: longer than any test. */
const GRACE_S = 3_600;

let containers = 0;

/** A pod of the rig: an object of the API server, and an attachment that the plugin makes in a sandbox. */
export class RigPod {
  readonly namespace: string;
  readonly name: string;
  readonly host: RigHost;
  readonly uid: string;
  readonly ports: NonNullable<PodSpec['ports']>;
  labels: Readonly<Record<string, string>>;
  #containerId = newContainerId();
  #addresses: readonly Address[] = [];
  readonly #client: KubeClient;
  #sandbox: Sandbox | TestNetns;

  private constructor(client: KubeClient, uid: string, spec: PodSpec) {
    this.#client = client;
    this.uid = uid;
    this.namespace = spec.namespace;
    this.name = spec.name;
    this.host = spec.host;
    this.ports = spec.ports ?? [];
    this.labels = spec.labels ?? {};
    this.#sandbox = spec.sandbox;
  }

  /** Makes the object only, bound to its host. */
  static async create(client: KubeClient, spec: PodSpec): Promise<RigPod> {
    const { namespace, name, labels = {}, ports = [], host } = spec;
    const object = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels },
      spec: { nodeName: host.name, containers: [{ name: 'main', image: 'nginx', ports }] },
    };
    const made = (await client.create(PODS, object, namespace)) as { metadata: { uid: string } };
    return new RigPod(client, made.metadata.uid, spec);
  }

  /** Of its sandbox. */
  get containerId(): string {
    return this.#containerId;
  }

  get ns(): TestNetns {
    return this.#sandbox instanceof Sandbox ? this.#sandbox.ns : this.#sandbox;
  }

  get probe(): Probe {
    if (this.#sandbox instanceof Sandbox) return this.#sandbox.probe;
    throw new Error(`pod ${this.namespace}/${this.name} has no probe`);
  }

  /** One of each family, IPv4 first; none before ADD. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  /** Its address of a family. */
  address(family: 4 | 6): Address {
    const found = this.#addresses.find((address) => address.includes(':') === (family === 6));
    if (found === undefined) throw new Error(`pod ${this.namespace}/${this.name} has no IPv${family} address`);
    return found;
  }

  /**
   * ADD, as the container runtime calls it; with `patience` again and again while there is no agent to answer.
   *
   * @throws Error with what the plugin said when it fails
   */
  async add({ patience = false } = {}): Promise<void> {
    const answer = await this.#call('ADD', patience);
    if (answer.status !== 0) throw new Error(`ADD of ${this.namespace}/${this.name}: ${JSON.stringify(answer.json)}`);
    this.learn((answer.json.ips ?? []).map(({ address }) => address.split('/')[0] ?? ''));
  }

  /** Takes note of the addresses that an ADD of the test's own gave it. */
  learn(addresses: readonly string[]): void {
    this.#addresses = addresses.map((address) => unwrap(parseAddress(address)));
  }

  async #call(command: 'ADD' | 'DEL', patience: boolean): Promise<CniAnswer> {
    if (!patience) return this.call(command);
    const answered = async (): Promise<CniAnswer | undefined> => {
      const answer = await this.call(command);
      return answer.json.code === TRY_AGAIN ? undefined : answer;
    };
    return waitFor(`${command} of ${this.namespace}/${this.name}`, answered, { timeoutMs: PATIENCE_MS });
  }

  /** DEL, and ADD in another sandbox, as the kubelet does with a pod whose sandbox has died. @throws Error as `add` */
  async restart(sandbox: Sandbox): Promise<void> {
    const answer = await this.call('DEL');
    if (answer.status !== 0) throw new Error(`DEL of ${this.namespace}/${this.name}: ${JSON.stringify(answer.json)}`);
    this.#sandbox = sandbox;
    this.#containerId = newContainerId();
    await this.add();
  }

  /** One CNI call for this pod's sandbox. */
  call(command: 'ADD' | 'DEL', config: object = {}): Promise<CniAnswer> {
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${this.namespace};K8S_POD_NAME=${this.name};K8S_POD_UID=${this.uid}`;
    return this.host.cni({ command, containerId: this.containerId, netns: this.ns.path, args, config });
  }

  /**
   * A new sandbox for the same pod, as the runtime makes it when the host has come up again: DEL of the old one, and ADD
   * under another id, with patience.
   *
   * @throws Error with what the plugin said
   */
  async renew(): Promise<void> {
    await this.leave({ patience: true });
    this.#containerId = newContainerId();
    await this.add({ patience: true });
    await this.report();
  }

  /** Writes the pod's status, as the kubelet does when its containers run, or have ended. */
  async report(phase: 'Running' | 'Succeeded' = 'Running'): Promise<void> {
    const podIPs = this.#addresses.map((ip) => ({ ip }));
    const status = { phase, podIP: podIPs[0]?.ip, podIPs };
    await this.#client.patch(PODS, this.name, { status }, { namespace: this.namespace, subresource: 'status' });
  }

  /** Changes the labels: `null` takes one away. */
  async label(labels: Readonly<Record<string, string | null>>): Promise<void> {
    await this.#client.patch(PODS, this.name, { metadata: { labels } }, { namespace: this.namespace });
    const all = Object.entries({ ...this.labels, ...labels });
    this.labels = Object.fromEntries(all.flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
  }

  /** DEL, then the object goes, as with a kubelet; may be repeated. @throws Error with what the plugin said */
  async del({ patience = false } = {}): Promise<void> {
    await this.leave({ patience });
    await this.forget();
  }

  /** DEL alone. @throws Error with what the plugin said */
  async leave({ patience = false } = {}): Promise<void> {
    const answer = await this.#call('DEL', patience);
    if (answer.status !== 0) throw new Error(`DEL of ${this.namespace}/${this.name}: ${JSON.stringify(answer.json)}`);
  }

  /** Has the object marked as one that is to go, as `kubectl delete` does; it goes when its kubelet is done, by `del`. */
  async terminate(): Promise<void> {
    await this.#client.delete(PODS, this.name, { namespace: this.namespace, gracePeriodSeconds: GRACE_S });
  }

  /** Deletes the object at once, whether it runs or not. */
  async forget(): Promise<void> {
    try {
      const options = { namespace: this.namespace, gracePeriodSeconds: 0, uid: this.uid };
      await this.#client.delete(PODS, this.name, options);
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
}

function newContainerId(): string {
  containers += 1;
  return `rig-${process.pid}-${containers}`;
}
