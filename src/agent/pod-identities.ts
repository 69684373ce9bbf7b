import { CniFailure, type CniError, cniError, cniErrorOf } from '../cni/errors.ts';
import type { PodName } from '../cni/request.ts';
import { isNotFound, type KubeClient } from '../kube/client.ts';
import { type Result, err, ok } from '../lib/result.ts';
import { configHash, type Pod, parsePod } from '../objects/pod.ts';
import { PODS } from '../objects/resources.ts';
import type { Observer } from './observer.ts';
import type { Identities, Identity } from './pod-network.ts';

/** How long ADD waits for a pod, its namespace or its ids to be known, in milliseconds; then the runtime tries again. */
export const PATIENCE_MS = 10_000;

/** What identities are found by. */
export interface PodIdentitiesOptions {
  readonly observer: Observer;
  readonly client: Pick<KubeClient, 'get'>;
  readonly patienceMs?: number;
}

/**
 * Who a pod is, by its uid and never by its name alone: a StatefulSet's pod comes back under its old name with other
 * labels. What the watch has not shown yet is asked of the API server; ids that are not given yet are waited for.
 */
export class PodIdentities implements Identities {
  readonly #options: PodIdentitiesOptions;

  constructor(options: PodIdentitiesOptions) {
    this.#options = options;
  }

  async forPod(pod: PodName, signal: AbortSignal): Promise<Result<Identity, CniError>> {
    const { observer } = this.#options;
    const present = this.#known(pod);
    const identity = present === undefined ? undefined : this.#identity(present);
    if (identity !== undefined && typeof identity !== 'string') return ok(identity);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(this.#options.patienceMs ?? PATIENCE_MS)]);
    let missing = 'its labels';
    try {
      const found = present ?? (await this.#ask(pod, bounded));
      // A policy that this agent has not seen yet only opens; a namespace that it has not seen may be isolated.
      return ok(
        await observer.until(() => {
          const identity = this.#identity(this.#known(pod) ?? found);
          if (typeof identity !== 'string') return identity;
          missing = identity;
          return undefined;
        }, bounded),
      );
    } catch (error) {
      if (error instanceof CniFailure || !bounded.aborted) {
        return err(cniErrorOf(error, `could not find out who pod ${pod.namespace}/${pod.name} is`));
      }
      const what = `pod ${pod.namespace}/${pod.name} (uid ${pod.uid}) can't be connected yet: waited in vain for ${missing}`;
      return err(cniError('tryAgainLater', what));
    }
  }

  /** The pod with that uid as the watch shows it; a static pod goes by the hash that the kubelet gave it. */
  #known({ uid, namespace, name }: PodName): Pod | undefined {
    const { observer } = this.#options;
    const byName = observer.pods.store.get(`${namespace}/${name}`);
    if (byName !== undefined && isPod(byName, uid)) return byName;
    const seen = observer.podByUid(uid);
    return seen?.meta.namespace === namespace && seen.meta.name === name ? seen : undefined;
  }

  /** The pod from the API server, or from the watch where that is quicker or the API server does not answer. */
  async #ask(pod: PodName, signal: AbortSignal): Promise<Pod> {
    const stop = new AbortController();
    const watched = this.#options.observer.until(() => this.#known(pod), AbortSignal.any([signal, stop.signal]));
    const asked = this.#get(pod).then(
      (found) => found ?? watched,
      () => watched,
    );
    asked.catch(() => undefined); // the race below has its outcome
    try {
      return await Promise.race([watched, asked]);
    } finally {
      stop.abort();
    }
  }

  async #get(pod: PodName): Promise<Pod | undefined> {
    let json: unknown;
    try {
      json = await this.#options.client.get(PODS, pod.name, pod.namespace);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
    const parsed = parsePod(json);
    if (!parsed.ok || !isPod(parsed.value, pod.uid)) return undefined;
    this.#options.observer.learn(parsed.value);
    return parsed.value;
  }

  /** The identity, or what is missing for it. */
  #identity(pod: Pod): Identity | string {
    const { observer } = this.#options;
    const { network, host } = observer;
    const { namespace, labels } = pod.meta;
    if (network === undefined) return "the cluster's Network object";
    if (host === undefined) return "this node's Host, which the controller makes";
    if (!observer.namespaces.store.has(namespace)) return `namespace ${namespace}`;
    const tenant = observer.tenants.store.get(namespace);
    if (tenant === undefined || (tenant.id === 0 && !tenant.pooled))
      return `the tenant id of namespace ${namespace}, which the controller gives`;
    const segment = labels.get(network.segmentLabel) ?? null;
    const entry = tenant.segments.find(({ name }) => name === segment);
    if (segment !== null && entry === undefined && !tenant.pooled) {
      return `the id of segment ${JSON.stringify(segment)} in namespace ${namespace}, which the controller gives`;
    }
    const pool = tenant.pooled || (segment !== null && entry?.id === 0);
    return {
      labels,
      segment,
      hostId: host.id,
      tenantId: pool ? 0 : tenant.id,
      segmentId: pool ? 0 : (entry?.id ?? 0),
      pool,
      plans: network.plans,
    };
  }
}

/** Whether `pod` is the one that a runtime knows by `uid`: for a static pod the hash that the kubelet gave it. */
export function isPod(pod: Pod, uid: string): boolean {
  return pod.meta.uid === uid || configHash(pod) === uid;
}
