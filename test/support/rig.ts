import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { parsePlan } from '../../src/addr/plan.ts';
import { isNotFound } from '../../src/kube/client.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { ALPHA_ISOLATION } from '../../src/objects/namespace.ts';
import { DEMO_POLICIES, NAMESPACES, NETWORKS, NODES, TENANTS } from '../../src/objects/resources.ts';
import { TestNetns } from './netns.ts';
import { Probe } from './probe.ts';
import { RigApi } from './rig-api.ts';
import { RigHost } from './rig-host.ts';
import { judge, type Outcome } from './rig-judge.ts';
import { type PodSpec, RigPod, Sandbox } from './rig-pod.ts';

/** What a rig is made of. */
export interface RigOptions {
  /** 2 by default. */
  readonly hosts?: number;
  /** Address plans as `romana` takes them, the default ones without. */
  readonly plans?: readonly string[];
  /** Agents and controller come to the API server by way of `api.proxy`, which can misbehave. */
  readonly proxied?: boolean;
}

/** A pod of a rig: `host` counts from 0, and a sandbox is made when none is given. */
export type RigPodSpec = Omit<PodSpec, 'host' | 'sandbox'> & {
  readonly host?: number;
  readonly sandbox?: PodSpec['sandbox'];
};

/** Where the fabric is beside hosts: neither a pod's nor a node's address. */
export const OUTSIDE = ['203.0.113.7', '2001:db8::7'] as const;
const FABRIC = ['192.168.99.1', 'fd00:99::1'] as const;
// Before any interface is there: duplicate address detection would hold back the first packets of IPv6.
const NO_DAD = 'for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done';

/**
 * A small real cluster for tests of packets: hosts as network and mount namespaces on a fabric, the real agent in each,
 * pods made by the real plugin; API server and controller are in this process. It is what the local cluster is, without
 * a node runtime: the test itself is the kubelet.
 *
 * @example
 * const rig = await Rig.start();
 * after(() => rig[Symbol.asyncDispose]());
 * await rig.namespace('a', { isolated: true });
 * const [one, two] = await Promise.all([rig.pod({ namespace: 'a', name: 'one' }), rig.pod({ namespace: 'a', name: 'two' })]);
 * assert.equal(await rig.reach(one, two, 'tcp', 80), 'dropped');
 */
export class Rig {
  readonly #hosts: RigHost[];
  readonly fabric: TestNetns;
  readonly api: RigApi;
  /** For what the hosts keep. */
  readonly #directory: string;
  readonly #disposables: AsyncDisposableStack;
  #outside: Promise<Probe> | undefined;
  /** The pods since `clear`, with the sandboxes that are only theirs. */
  #pods: { readonly pod: RigPod; readonly own: Sandbox | undefined }[] = [];
  /** Sandboxes whose pods are gone. */
  readonly #free: Sandbox[] = [];

  private constructor(
    hosts: readonly RigHost[],
    fabric: TestNetns,
    api: RigApi,
    directory: string,
    disposables: AsyncDisposableStack,
  ) {
    this.#hosts = [...hosts];
    this.#directory = directory;
    this.fabric = fabric;
    this.api = api;
    this.#disposables = disposables;
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    await using undo = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), 'romana-rig-'));
    const remove = (): void => rmSync(directory, { recursive: true, force: true });
    process.once('exit', remove);
    undo.defer(remove);
    const fabric = undo.use(makeFabric());
    const places = Array.from({ length: options.hosts ?? 2 }, (_, n) => undo.use(makeHostNetns(fabric, n + 1)));
    const api = undo.use(await RigApi.start(fabric, FABRIC[0], directory, options.proxied));
    const starting = places.map((ns, n) => startHost(ns, n + 1, directory));
    const hosts = (await Promise.all(starting)).map((host) => undo.use(host));
    await makeNetwork(api, options.plans);
    for (const host of hosts) await makeNode(api, host);
    await Promise.all(hosts.map((host) => host.startAgent(api.kubeconfig)));
    const rig = new Rig(hosts, fabric, api, directory, undo.move());
    try {
      await rig.settled();
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
    return rig;
  }

  /** In the order of their numbers; named `host1`, `host2`... */
  get hosts(): readonly RigHost[] {
    return this.#hosts;
  }

  /** A host joins, with its Node and its agent, which connects pods then. */
  async join(): Promise<RigHost> {
    const number = this.#hosts.length + 1;
    const ns = this.#disposables.use(makeHostNetns(this.fabric, number));
    const host = this.#disposables.use(await startHost(ns, number, this.#directory));
    await makeNode(this.api, host);
    await host.startAgent(this.api.kubeconfig);
    this.#hosts.push(host);
    return host;
  }

  /** A probe in the fabric, which has the addresses OUTSIDE. */
  get outside(): Promise<Probe> {
    this.#outside ??= Probe.start(this.fabric);
    return this.#outside;
  }

  /** What the agents have logged last. */
  get log(): string {
    return this.hosts.map(({ name, log }) => `${name}:\n${log}`).join('\n');
  }

  /** The host of a number that counts from 0. */
  host(number: number): RigHost {
    const host = this.hosts[number];
    if (host === undefined) throw new Error(`the rig has ${this.hosts.length} hosts, and no number ${number}`);
    return host;
  }

  async namespace(name: string, { isolated = false }: { readonly isolated?: boolean } = {}): Promise<void> {
    const annotations = isolated ? { [ALPHA_ISOLATION]: 'on' } : {};
    await this.api.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } });
  }

  /** Deletes a namespace that has no pods any more, and waits until its Tenant is gone, too. */
  async deleteNamespace(name: string): Promise<void> {
    await this.api.client.delete(NAMESPACES, name);
    await waitFor(`namespace ${name} to go`, async () => {
      const { items } = await this.api.client.list(TENANTS);
      return !items.some((item) => (item as { metadata: { name: string } }).metadata.name === name);
    });
  }

  /** Deletes a namespace with all that is in it and makes it again, without anything. */
  async renewNamespace(name: string): Promise<void> {
    const { client } = this.api;
    await client.delete(NAMESPACES, name);
    await waitFor(`namespace ${name} to be gone`, async () => {
      const { items } = await client.list(NAMESPACES);
      return !items.some((item) => (item as { metadata: { name: string } }).metadata.name === name);
    });
    await this.namespace(name);
  }

  /** Sets the isolation annotation of a namespace. */
  async isolate(name: string, value: 'on' | 'off'): Promise<void> {
    await this.annotate(name, { [ALPHA_ISOLATION]: value });
  }

  /** Sets annotations of a namespace; `null` takes one away. */
  async annotate(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.api.client.patch(NAMESPACES, name, { metadata: { annotations } });
  }

  /** Creates a demo policy, or gives the one that is there another spec. */
  async policy(namespace: string, name: string, spec: object): Promise<void> {
    const { client } = this.api;
    const kind = { apiVersion: 'demo.romana.io/v1', kind: 'NetworkPolicy' };
    try {
      const old = (await client.get(DEMO_POLICIES, name, namespace)) as object;
      await client.replace(DEMO_POLICIES, { ...old, ...kind, spec });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(DEMO_POLICIES, { ...kind, metadata: { name }, spec }, namespace);
    }
  }

  async deletePolicy(namespace: string, name: string): Promise<void> {
    await this.api.client.delete(DEMO_POLICIES, name, { namespace });
  }

  /** A sandbox that lasts as long as the rig, unless it is disposed of before. */
  async sandbox(label = 'pod'): Promise<Sandbox> {
    const sandbox = await Sandbox.create(label);
    // A test that has failed does not wait for what it had begun.
    if (this.#disposables.disposed) await sandbox[Symbol.asyncDispose]();
    return this.#disposables.use(sandbox);
  }

  /** Makes the object of a pod, and its sandbox; it is not on the network yet. */
  async newPod({ host = 0, sandbox, ...spec }: RigPodSpec): Promise<RigPod> {
    const place = sandbox ?? this.#takeFree() ?? (await this.sandbox());
    const pod = await RigPod.create(this.api.client, { ...spec, host: this.host(host), sandbox: place });
    this.#pods.push({ pod, own: sandbox === undefined && place instanceof Sandbox ? place : undefined });
    return pod;
  }

  /** One that its last pod's link has left already, which it does some time after DEL. */
  #takeFree(): Sandbox | undefined {
    const index = this.#free.findIndex((sandbox) => !sandbox.hasLink());
    return index < 0 ? undefined : this.#free.splice(index, 1)[0];
  }

  /** Takes a pod away. Its sandbox serves others, which saves each the start of a probe. */
  async remove(pod: RigPod, options: { readonly patience?: boolean } = {}): Promise<void> {
    await pod.del(options);
    const index = this.#pods.findIndex((known) => known.pod === pod);
    const own = index < 0 ? undefined : this.#pods.splice(index, 1)[0]?.own;
    if (own !== undefined) this.#free.push(own);
  }

  /** Takes all pods away. */
  async clear(): Promise<void> {
    await Promise.all(this.#pods.map(({ pod }) => this.remove(pod)));
  }

  /** Makes a pod that runs, as everybody may know by its status. */
  async pod(spec: RigPodSpec, options: { readonly patience?: boolean } = {}): Promise<RigPod> {
    const pod = await this.newPod(spec);
    await pod.add(options);
    await pod.report();
    return pod;
  }

  /** The tenant of a namespace, as the controller has it now. */
  async tenant(namespace: string): Promise<{ id: number; pooled: boolean }> {
    const tenant = (await this.api.client.get(TENANTS, namespace)) as { status?: { id?: number; pooled?: boolean } };
    return { id: tenant.status?.id ?? 0, pooled: tenant.status?.pooled ?? false };
  }

  /**
   * Waits until all that is in the API server is in force on `hosts`: nobody has anything left to write or to apply. A
   * controller that is away is not waited for.
   */
  async settled(hosts: readonly RigHost[] = this.hosts): Promise<void> {
    await waitFor('everything to be in force', async () => {
      const version = await this.api.version();
      const { controller } = this.api;
      const actedOn = controller === undefined ? version : (controller.actedOn ?? 0);
      const applied = await Promise.all(hosts.map((host) => host.applied()));
      const reached = [actedOn, ...applied].every((each) => each >= version);
      if (reached && (await this.api.version()) === version) return true;
      throw new Error(
        `of ${version} the controller has done ${actedOn}, the agents ${applied.join(', ')}:\n${this.log}`,
      );
    });
  }

  /** What comes of a new connection, the same in both families. */
  async reach(from: { readonly probe: Probe }, to: RigPod, protocol: 'tcp' | 'udp', port: number): Promise<Outcome> {
    const families = [4, 6] as const;
    const [four, six] = await judge(families.map((family) => ({ from, to, protocol, port, family })));
    assert.equal(four, six, `IPv4 and IPv6 differ towards ${to.namespace}/${to.name} ${protocol} ${port}`);
    assert.ok(four !== undefined);
    return four;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disposables.disposeAsync();
  }
}

function batch(namespace: string, lines: readonly string[]): void {
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
}

function makeFabric(): TestNetns {
  const fabric = TestNetns.create('fabric');
  execFileSync('ip', ['netns', 'exec', fabric.name, 'sh', '-c', NO_DAD]);
  batch(fabric.name, [
    'link add br0 type bridge forward_delay 0 mcast_snooping 0',
    `address add ${FABRIC[0]}/24 dev br0`,
    `address add ${FABRIC[1]}/64 dev br0`,
    'link set br0 up',
    `address add ${OUTSIDE[0]}/32 dev lo`,
    `address add ${OUTSIDE[1]}/128 dev lo`,
  ]);
  return fabric;
}

function makeHostNetns(fabric: TestNetns, number: number): TestNetns {
  const host = TestNetns.create(`host${number}`);
  execFileSync('ip', ['netns', 'exec', host.name, 'sh', '-c', NO_DAD]);
  batch(fabric.name, [
    `link add name host${number} type veth peer name eth0 netns ${host.name}`,
    `link set dev host${number} master br0 up`,
  ]);
  batch(host.name, [
    `address add 192.168.99.${number + 10}/24 dev eth0`,
    `address add fd00:99::${number + 10}/64 dev eth0`,
    'link set eth0 up',
    `route add default via ${FABRIC[0]}`,
    `route add ::/0 via ${FABRIC[1]}`,
  ]);
  return host;
}

function startHost(ns: TestNetns, number: number, directory: string): Promise<RigHost> {
  const name = `host${number}`;
  return RigHost.start(name, ns, [`192.168.99.${number + 10}`, `fd00:99::${number + 10}`], join(directory, name));
}

async function makeNetwork(api: RigApi, plans: readonly string[] = []): Promise<void> {
  const spec = plans.length === 0 ? {} : { plans: plans.map(planToJson) };
  const network = { apiVersion: 'romana.io/v1', kind: 'Network', metadata: { name: 'default' }, spec };
  await api.client.create(NETWORKS, network);
}

async function makeNode(api: RigApi, { name, addresses }: RigHost): Promise<void> {
  await api.client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
  const status = { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) };
  await api.client.patch(NODES, name, { status }, { subresource: 'status' });
}

function planToJson(text: string): object {
  const { cidr, hostBits, tenantBits, segmentBits, endpointBits } = unwrap(parsePlan(text));
  return { cidr, hostBits, tenantBits, segmentBits, endpointBits };
}
