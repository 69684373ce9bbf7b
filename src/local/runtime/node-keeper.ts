import { arch, cpus, release, totalmem } from 'node:os';
import { Backoff } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { isConflict, isNotFound, type KubeClient } from '../../kube/client.ts';
import { LEASES, NAMESPACES, NODES } from '../../objects/resources.ts';
import { conditionOf, nameOf, objectsAt } from '../kube-json.ts';
import { NODE_LEASE } from '../node-lease.ts';
import type { CniRunner } from './cni-runner.ts';

/** What a node says of itself. */
export interface NodeIdentity {
  readonly name: string;
  readonly addresses: readonly string[];
  /** It takes no pods but those that tolerate it. */
  readonly controlPlane: boolean;
  /** TCP port of logs and exec. */
  readonly port: number;
  /** The Node that registers before this one, so that host ids follow the nodes' numbers; undefined for the first. */
  readonly after: string | undefined;
  /** Another one at each boot of the node. */
  readonly bootId: string;
}

/** What the keeper needs. */
export interface NodeKeeperOptions {
  readonly node: NodeIdentity;
  readonly client: KubeClient;
  readonly cni: Pick<CniRunner, 'status'>;
  /** Aborted when the node is about to go off. */
  readonly leave: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}

/** Waits between looks at CNI, in milliseconds: a node that is not ready soon may be. */
const LOOK_MS = { ready: 5_000, notReady: 100 };
/** How long a new node waits for its turn to register at most, and how often it looks, in milliseconds. */
const TURN_MS = { patience: 10_000, look: 20 };
const SHUTTING_DOWN = 'node is shutting down';
const RETRY = { initialMs: 50, maxMs: 1_000 };

/** Registers the Node, keeps its Ready condition in line with CNI's STATUS, and renews its Lease. */
export class NodeKeeper {
  readonly #options: NodeKeeperOptions;
  #reported: string | undefined;
  #since = '';
  #askedAt = 0;

  constructor(options: NodeKeeperOptions) {
    this.#options = options;
  }

  /** Runs until aborted. Never rejects: what fails is repeated. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#insist('register the node', () => this.#register(signal), signal);
    await Promise.all([this.#keepStatus(signal), this.#keepLease(signal)]);
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { client, node } = this.#options;
    await this.#awaitTurn(signal);
    try {
      await client.create(NODES, nodeObject(node));
      this.#options.log.info({ node: node.name }, 'registered');
    } catch (error) {
      if (!isConflict(error)) throw error; // It is the same node after a restart.
    }
  }

  /** Waits until the node before this one is there, unless this one is there already. */
  async #awaitTurn(signal: AbortSignal): Promise<void> {
    const { client, clock, node } = this.#options;
    const end = clock.now() + TURN_MS.patience;
    while (node.after !== undefined && clock.now() < end && !signal.aborted) {
      const names = new Set([node.name, node.after]);
      const { items } = await client.list(NODES);
      if (items.some((item) => names.has(nameOf(item)))) return;
      await this.#sleep(TURN_MS.look, signal);
    }
  }

  async #keepStatus(signal: AbortSignal): Promise<void> {
    const { leave } = this.#options;
    while (!signal.aborted) {
      const problem = await this.#look();
      if (await this.#isDoubted()) this.#reported = undefined;
      if (problem !== this.#reported) {
        await this.#insist('report the status of the node', () => this.#report(problem), signal);
        this.#reported = problem;
      }
      const next = AbortSignal.any([signal, ...(leave.aborted ? [] : [leave])]);
      await this.#sleep(problem === '' ? LOOK_MS.ready : LOOK_MS.notReady, next);
    }
  }

  /** Whether the API server no longer believes what was reported, since the node was silent for some time. */
  async #isDoubted(): Promise<boolean> {
    const { client, clock, node } = this.#options;
    if (clock.now() - this.#askedAt < LOOK_MS.ready) return false;
    this.#askedAt = clock.now();
    const json = await client.get(NODES, node.name).catch(() => undefined);
    return conditionOf(json, 'Ready')?.status === 'Unknown';
  }

  /** Why the node takes no pods; '' when it does. */
  async #look(): Promise<string> {
    if (this.#options.leave.aborted) return SHUTTING_DOWN;
    try {
      await this.#options.cni.status();
      return '';
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return `container runtime network not ready: ${why}`;
    }
  }

  async #report(problem: string): Promise<void> {
    const { client, node, log } = this.#options;
    const ready = problem === '';
    const now = this.#now();
    if (this.#reported === undefined || ready !== (this.#reported === '')) this.#since = now;
    const condition = {
      type: 'Ready',
      status: ready ? 'True' : 'False',
      reason: ready ? 'KubeletReady' : 'KubeletNotReady',
      message: ready ? 'the node runtime is posting ready status' : problem,
      lastHeartbeatTime: now,
      lastTransitionTime: this.#since,
    };
    try {
      // Conditions of other types are others'.
      const conditions = objectsAt(await client.get(NODES, node.name), 'status', 'conditions');
      const others = conditions.filter(({ type }) => type !== condition.type);
      const status = nodeStatus(node, [...others, condition]);
      await client.patch(NODES, node.name, { status }, { subresource: 'status' });
    } catch (error) {
      if (!isNotFound(error)) throw error; // Somebody deleted the Node: as with a kubelet, a restart brings it back.
    }
    log.info({ ready, ...(ready ? {} : { problem }) }, 'node status');
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#insist('renew the lease of the node', () => this.#renew(), signal);
      await this.#sleep(NODE_LEASE.renewMs, signal);
    }
  }

  async #renew(): Promise<void> {
    const { client, node, clock } = this.#options;
    const spec = {
      holderIdentity: node.name,
      leaseDurationSeconds: NODE_LEASE.seconds,
      renewTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
    };
    try {
      await client.patch(LEASES, node.name, { spec }, { namespace: NODE_LEASE.namespace });
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    const lease = { metadata: { name: node.name, namespace: NODE_LEASE.namespace }, spec };
    try {
      await client.create(LEASES, lease);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(NAMESPACES, { metadata: { name: NODE_LEASE.namespace } }).catch((late: unknown) => {
        if (!isConflict(late)) throw late;
      });
      await client.create(LEASES, lease);
    }
  }

  async #insist(what: string, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(RETRY);
    while (!signal.aborted) {
      try {
        return await work();
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#options.log.debug({ why }, `could not ${what}, tries again`);
        await this.#sleep(backoff.next(), signal);
      }
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, signal).catch(() => undefined);
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

function nodeObject(node: NodeIdentity): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: {
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': arch() === 'x64' ? 'amd64' : arch(),
        ...(node.controlPlane ? { 'node-role.kubernetes.io/control-plane': '' } : {}),
      },
    },
    spec: node.controlPlane ? { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] } : {},
  };
}

function nodeStatus(node: NodeIdentity, conditions: readonly object[]): object {
  const capacity = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: '110' };
  return {
    addresses: [
      ...node.addresses.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: node.name },
    ],
    capacity,
    allocatable: capacity,
    conditions,
    daemonEndpoints: { kubeletEndpoint: { Port: node.port } },
    nodeInfo: {
      bootID: node.bootId,
      kernelVersion: release(),
      osImage: 'the machine itself',
      operatingSystem: 'linux',
      architecture: arch() === 'x64' ? 'amd64' : arch(),
      containerRuntimeVersion: 'romana-local://1.0',
      kubeletVersion: 'romana-local',
    },
  };
}
