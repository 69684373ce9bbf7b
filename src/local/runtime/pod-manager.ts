import { ok } from '../../lib/result.ts';
import type { PodSpec } from './pod-spec.ts';
import type { PodRecord } from './pod-record.ts';
import { PodWorker, type PodWorkerOptions } from './pod-worker.ts';

/** Pods have no more time to end when their node is shut down, whatever they say; in seconds. */
export const MAX_SHUTDOWN_GRACE_SECONDS = 30;

/** Keeps one worker a pod: for those the API server has for this node, and for those it had. */
export class PodManager {
  readonly #options: PodWorkerOptions;
  /** By uid: a pod and its namesake successor may be here together. */
  readonly #workers = new Map<string, PodWorker>();
  #orphans: Map<string, PodRecord>;
  #leaving = false;

  constructor(options: PodWorkerOptions) {
    this.#options = options;
    this.#orphans = new Map(options.records.load().map((record) => [record.uid, record]));
  }

  /** Brings the workers in line with the pods of this node as the API server has them now. */
  sync(pods: Iterable<PodSpec>): void {
    const wanted = new Set<string>();
    for (const pod of pods) {
      wanted.add(pod.uid);
      const worker = this.#workers.get(pod.uid);
      if (worker !== undefined) worker.update(pod);
      else if (!this.#leaving) this.#start(pod);
    }
    for (const [uid, worker] of this.#workers) {
      if (!wanted.has(uid)) worker.remove();
    }
    // Pods that went while no runtime was here.
    for (const record of this.#orphans.values()) {
      if (!wanted.has(record.uid)) this.#start(orphan(record)).remove();
    }
  }

  /** Ends all pods, which stay the API server's: the node goes off. */
  async leave(): Promise<void> {
    this.#leaving = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.leave(MAX_SHUTDOWN_GRACE_SECONDS)));
  }

  #start(pod: PodSpec): PodWorker {
    const record = this.#orphans.get(pod.uid);
    this.#orphans.delete(pod.uid);
    const worker = new PodWorker(pod, record, this.#options);
    this.#workers.set(pod.uid, worker);
    void worker.done.then(() => this.#workers.delete(pod.uid));
    return worker;
  }
}

/** As much of a Pod as its record tells: enough to remove it, and nothing that would start anything. */
function orphan(record: PodRecord): PodSpec {
  return {
    uid: record.uid,
    namespace: record.namespace,
    name: record.name,
    hostNetwork: record.sandbox?.netns === '',
    hostname: record.name,
    restartPolicy: 'Never',
    capabilities: ok({}),
    initContainers: [],
    containers: [],
    deletionGraceSeconds: undefined,
    graceSeconds: 0,
    phase: 'Failed',
    conditions: [],
    reported: [],
    startTime: '',
    former: new Map(),
  };
}
