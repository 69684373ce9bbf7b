import type { Address } from '../../addr/address.ts';
import { decode } from '../../addr/plan.ts';
import { type KubeClient, isConflict, isNotFound } from '../../kube/client.ts';
import type { Clock } from '../../lib/clock.ts';
import { unwrap } from '../../lib/result.ts';
import { type Host, parseHost } from '../../objects/host.ts';
import { type Network, parseNetworkInForce } from '../../objects/network.ts';
import { type Node, parseNode } from '../../objects/node.ts';
import { type Pod, parsePod } from '../../objects/pod.ts';
import { HOSTS, NAMESPACES, NETWORKS, NODES, PODS, type Resource, TENANTS } from '../../objects/resources.ts';
import { parseTenant } from '../../objects/tenant.ts';
import { createPod, lastWarning, podProgress } from '../pod-progress.ts';

/** How long pods may take to run, their image pulled, and deleted ones to be gone, in milliseconds. */
const PATIENCE_MS = 180_000;
const LOOK_EVERY_MS = 50;
/** After so long it is said what is waited for, in milliseconds. */
const TOLD_AFTER_MS = 3_000;

interface Made {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** A pod that runs: its addresses, one a family. */
export interface RunningPod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly Address[];
}

/** What of a core/v1 Node says whether pods are placed on it. */
interface NodeJson {
  readonly spec?: { readonly unschedulable?: boolean; readonly taints?: readonly { readonly effect: string }[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/**
 * How willingly a node takes the demo's pods, which name their node and so pass by the scheduler: 0 as any pod; 1 where a
 * taint keeps others from it, as from control planes; undefined: not at all.
 */
function willingness({ spec, status }: NodeJson): 0 | 1 | undefined {
  const effects = new Set(spec?.taints?.map(({ effect }) => effect));
  const ready = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  if (!ready || spec?.unschedulable === true || effects.has('NoExecute')) return undefined;
  return effects.has('NoSchedule') ? 1 : 0;
}

/** The cluster as the demo uses it: makes objects, remembers which, and removes those and no others. */
export class Stage {
  readonly client: KubeClient;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #made: Made[] = [];

  /** @param signal ends all but `clear`. */
  constructor(client: KubeClient, clock: Clock, signal: AbortSignal) {
    this.client = client;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** The cluster's Network and Hosts; throws when Romana is not installed there. */
  async survey(): Promise<{ network: Network; hosts: ReadonlyMap<string, Host> }> {
    const network = unwrap(parseNetworkInForce(await this.client.get(NETWORKS, 'default')));
    const hosts = (await this.client.list(HOSTS)).items.map((item) => unwrap(parseHost(item)));
    return { network, hosts: new Map(hosts.map((host) => [host.meta.name, host])) };
  }

  /** The Nodes, and how willingly they take pods. */
  async nodes(): Promise<readonly { node: Node; willing: 0 | 1 | undefined }[]> {
    const { items } = await this.client.list(NODES);
    return items.map((json) => ({ node: unwrap(parseNode(json)), willing: willingness(json as NodeJson) }));
  }

  /** The object, or undefined when there is none of that name. */
  async find(resource: Resource, name: string, namespace = ''): Promise<object | undefined> {
    try {
      return (await this.client.get(resource, name, namespace === '' ? undefined : namespace)) as object;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Creates an object, to be removed at the end; an object of that name is an error, it is somebody's. */
  async make(resource: Resource, object: object, namespace = ''): Promise<void> {
    this.#signal.throwIfAborted();
    try {
      const made =
        resource === PODS
          ? await createPod(this.client, object, namespace, {
              clock: this.#clock,
              patienceMs: PATIENCE_MS,
              signal: this.#signal,
            })
          : await this.client.create(resource, object, namespace === '' ? undefined : namespace);
      const { name, uid } = (made as { metadata: { name: string; uid: string } }).metadata;
      this.#made.push({ resource, namespace, name, uid });
    } catch (error) {
      if (!isConflict(error)) throw error;
      throw new Error(
        `could not make what the demo needs: ${error.message}; it is not the demo's, so nothing was done to it`,
        {
          cause: error,
        },
      );
    }
  }

  /** Removes all that was made, last first, and waits until it is gone. What is gone already, or another's, is fine. */
  async clear(): Promise<void> {
    const made = this.#made.splice(0).toReversed();
    for (const { resource, namespace, name, uid } of made) {
      try {
        await this.client.delete(resource, name, { namespace: namespace === '' ? undefined : namespace, uid });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    }
    for (const { resource, namespace, name, uid } of made) {
      await this.#until(
        async () => `${resource.kind} ${name} to be gone`,
        async () => {
          const found = await this.find(resource, name, namespace);
          return found === undefined || (found as { metadata: { uid: string } }).metadata.uid !== uid
            ? true
            : undefined;
        },
      );
    }
  }

  /**
   * Waits until a pod is Ready and has an address.
   *
   * @param waits is told how far it is where that takes its time, as the pull of an image does
   */
  async running(namespace: string, name: string, waits: (words: string) => void): Promise<RunningPod> {
    const start = this.#clock.now();
    let told = '';
    return await this.#until(
      async () => {
        const json = await this.find(PODS, name, namespace);
        const warning = await lastWarning(this.client, namespace, name).catch(() => '');
        const words = json === undefined ? 'it was not there' : podProgress(json).words;
        return `pod ${namespace}/${name} to run: ${words}${warning === '' ? '' : `; ${warning}`}`;
      },
      async () => {
        this.#signal.throwIfAborted();
        const json = await this.client.get(PODS, name, namespace);
        const pod: Pod = unwrap(parsePod(json));
        const { ready, words } = podProgress(json);
        if (ready && pod.addresses.length > 0) return { namespace, name, node: pod.nodeName, addresses: pod.addresses };
        if (words !== told && this.#clock.now() - start > TOLD_AFTER_MS) {
          told = words;
          waits(`Waiting for pod ${namespace}/${name}: ${words}`);
        }
        return undefined;
      },
    );
  }

  /** An address with its parts named, as the page's reader wants to see it. */
  async parts(address: Address): Promise<string> {
    const { network, hosts } = await this.survey();
    for (const plan of network.plans) {
      const d = decode(plan, address);
      if (d === undefined) continue;
      const host = [...hosts.values()].find((h) => h.id === d.host)?.meta.name ?? '?';
      if (d.pool === true) return `host ${d.host} (${host}), shared pool, endpoint ${d.endpoint}`;
      const tenants = (await this.client.list(TENANTS)).items.map((item) => unwrap(parseTenant(item)));
      const tenant = tenants.find((t) => !t.pooled && t.id === d.tenant);
      const segment = d.segment === 0 ? '-' : (tenant?.segments.find((s) => s.id === d.segment)?.name ?? '?');
      return `host ${d.host} (${host}), tenant ${d.tenant} (${tenant?.meta.name ?? '?'}), segment ${d.segment} (${segment}), endpoint ${d.endpoint}`;
    }
    return 'outside the plan';
  }

  /** Sets or removes (null) an annotation of a namespace. */
  async annotate(namespace: string, key: string, value: string | null): Promise<void> {
    await this.client.patch(NAMESPACES, namespace, { metadata: { annotations: { [key]: value } } });
  }

  async #until<T>(what: () => Promise<string>, look: () => Promise<T | undefined>): Promise<T> {
    const end = this.#clock.now() + PATIENCE_MS;
    for (;;) {
      const value = await look();
      if (value !== undefined) return value;
      if (this.#clock.now() > end) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${await what()}`);
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }
}
