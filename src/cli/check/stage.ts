import { isNotFound, type KubeClient } from '../../kube/client.ts';
import { asRecord, asText, identityOf } from '../../kube/json.ts';
import { objectPath } from '../../kube/paths.ts';
import type { Clock } from '../../lib/clock.ts';
import { unwrap } from '../../lib/result.ts';
import { parsePod } from '../../objects/pod.ts';
import { DEMO_POLICIES, NAMESPACES, PODS } from '../../objects/resources.ts';
import { createPod, lastWarning, podProgress } from '../pod-progress.ts';
import {
  CHECK_LABEL,
  checkNamespaces,
  LIFE_SECONDS,
  namespaceManifests,
  podManifest,
  policyManifest,
} from './manifests.ts';
import { readListening } from './orders.ts';
import type { ListeningPod, PlannedPod } from './plan.ts';

/** What the stage works with. */
export interface StageOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Tells this check from others: lower case letters and digits. */
  readonly word: string;
  /** How long pods may take to listen, and namespaces to go, in milliseconds. */
  readonly patienceMs: number;
  readonly progress: (line: string) => void;
  /** Ends all but `clear`. */
  readonly signal: AbortSignal;
}

/** Which pods listen, and why the others don't. */
export interface Listening {
  readonly pods: ReadonlyMap<string, ListeningPod>;
  readonly faults: ReadonlyMap<string, string>;
}

const LOOK_EVERY_MS = 100;
const MS_PER_SECOND = 1_000;

/** The namespaces and pods of one check, from their making to their end. */
export class CheckStage {
  readonly #o: StageOptions;
  /** Names and uids of the namespaces that were made: whatever else is in the cluster is not touched. */
  readonly #made = new Map<string, string>();

  constructor(options: StageOptions) {
    this.#o = options;
  }

  /** The namespace that a pod is in. */
  namespaceOf(pod: PlannedPod): string {
    const { open, isolated } = checkNamespaces(this.#o.word);
    return pod.role === 'isolated' ? isolated : open;
  }

  /** Makes the namespaces, the policy and the pods, in this order: a policy that is older than a pod holds at once. */
  async make(pods: readonly PlannedPod[], image: string): Promise<void> {
    const { client, word, signal } = this.#o;
    let now = 0;
    for (const namespace of namespaceManifests(word)) {
      signal.throwIfAborted();
      const made = await client.create(NAMESPACES, namespace);
      this.#made.set(identityOf(made).name, identityOf(made).uid);
      now = createdAt(made);
    }
    await this.#clearLeftovers(now);
    await client.create(DEMO_POLICIES, policyManifest(word), checkNamespaces(word).isolated);
    await Promise.all(
      pods.map((pod) => createPod(client, podManifest(word, pod, image), this.namespaceOf(pod), this.#o)),
    );
  }

  /** Waits until all pods listen, or have ended, or time is up. */
  async listening(pods: readonly PlannedPod[]): Promise<Listening> {
    const { clock, patienceMs, signal } = this.#o;
    const listening = new Map<string, ListeningPod>();
    const faults = new Map<string, string>();
    const end = clock.now() + patienceMs;
    for (;;) {
      const objects = await this.#podObjects();
      for (const pod of pods.filter(({ name }) => !listening.has(name))) {
        const json = objects.get(pod.name);
        const { words, finished } = podProgress(json);
        const heard = json === undefined || finished ? undefined : await this.#look(pod, json);
        if (heard !== undefined) listening.set(pod.name, heard);
        else if (finished || clock.now() >= end) faults.set(pod.name, await this.#fault(pod, words));
      }
      if (listening.size + faults.size >= pods.length) return { pods: listening, faults };
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** Deletes the namespaces that were made and waits until they are gone. @throws Error when they stay */
  async clear(): Promise<void> {
    const { client, clock, patienceMs } = this.#o;
    for (const [name, uid] of this.#made) await removeNamespace(client, name, uid);
    const end = clock.now() + patienceMs;
    for (const [name, uid] of this.#made) {
      while (await isThere(client, name, uid)) {
        if (clock.now() >= end)
          throw new Error(
            `namespace ${name} is still going after ${patienceMs / MS_PER_SECOND} s; see: kubectl get namespace ${name} -o yaml`,
          );
        await clock.sleep(LOOK_EVERY_MS);
      }
    }
  }

  /**
   * Removes what checks left that were killed: made so long ago that none still runs.
   *
   * @param now by the API server's clock, which the ages of namespaces are by, too, in milliseconds
   */
  async #clearLeftovers(now: number): Promise<void> {
    const { client, word, progress } = this.#o;
    for (const found of (await client.list(NAMESPACES, { labelSelector: CHECK_LABEL })).items) {
      const { name, uid } = identityOf(found);
      const meta = asRecord(asRecord(found)?.['metadata']);
      if (asText(asRecord(meta?.['labels'])?.[CHECK_LABEL]) === word || meta?.['deletionTimestamp'] !== undefined)
        continue;
      const seconds = Math.round((now - createdAt(found)) / MS_PER_SECOND);
      if (seconds > LIFE_SECONDS) {
        await removeNamespace(client, name, uid);
        progress(`removed namespace ${name}, which a check left ${Math.round(seconds / 60)} minutes ago`);
      } else {
        progress(
          `namespace ${name} is of a check that runs or was killed; if it was: kubectl delete namespace ${name}`,
        );
      }
    }
  }

  async #podObjects(): Promise<ReadonlyMap<string, unknown>> {
    const lists = await Promise.all(
      [...this.#made.keys()].map((namespace) => this.#o.client.list(PODS, { namespace, signal: this.#o.signal })),
    );
    return new Map(lists.flatMap(({ items }) => items).map((item) => [identityOf(item).name, item]));
  }

  /** What the pod has said of where it listens; undefined while it has not, or has no address yet. */
  async #look(pod: PlannedPod, json: unknown): Promise<ListeningPod | undefined> {
    const { addresses, phase } = unwrap(parsePod(json));
    if (phase !== 'Running' || (addresses.length === 0 && pod.role !== 'host')) return undefined;
    const path = objectPath(PODS, pod.name, this.namespaceOf(pod), 'log');
    // Not there before the container is.
    const log = await this.#o.client.raw('GET', path).catch(() => '');
    return Array.isArray(log) ? { addresses, doors: readListening(log) } : undefined;
  }

  async #fault(pod: PlannedPod, words: string): Promise<string> {
    const namespace = this.namespaceOf(pod);
    const [warning, log] = await Promise.all([
      lastWarning(this.#o.client, namespace, pod.name).catch(() => ''),
      this.#o.client.raw('GET', objectPath(PODS, pod.name, namespace, 'log')).catch(() => ''),
    ]);
    const said = typeof log === 'string' ? log.trim().split('\n').at(-1) : '';
    return [words, warning, said].filter((text) => text !== '' && text !== undefined).join('; ');
  }
}

function createdAt(object: unknown): number {
  return Date.parse(asText(asRecord(asRecord(object)?.['metadata'])?.['creationTimestamp']));
}

async function removeNamespace(client: KubeClient, name: string, uid: string): Promise<void> {
  try {
    await client.delete(NAMESPACES, name, { uid });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function isThere(client: KubeClient, name: string, uid: string): Promise<boolean> {
  try {
    return identityOf(await client.get(NAMESPACES, name)).uid === uid;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
