import { isNotFound } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { PODS } from '../../src/objects/resources.ts';
import type { KubeCluster } from './kube-cluster.ts';

/** How long a pod may take to be Ready, and to be gone: the kubelet tries again after a while, in milliseconds. */
const PATIENCE_MS = 90_000;

/** Pods that come and go on a node, one after the other, until told to stop. */
export class PodChurn {
  #stopped = false;
  readonly #done: Promise<number>;

  /** @param pod the object; each pod gets a name of its own, which begins with this one's. */
  constructor(cluster: KubeCluster, pod: { readonly metadata: { readonly name: string; readonly namespace: string } }) {
    this.#done = this.#run(cluster, pod);
    this.#done.catch(() => undefined); // told by `stop`
  }

  /** Waits for the pod that is there to be gone. @returns how many came and went @throws Error when one did not */
  stop(): Promise<number> {
    this.#stopped = true;
    return this.#done;
  }

  async #run(cluster: KubeCluster, pod: ConstructorParameters<typeof PodChurn>[1]): Promise<number> {
    const { namespace } = pod.metadata;
    for (let count = 0; ; count += 1) {
      if (this.#stopped) return count;
      const name = `${pod.metadata.name}-${count}`;
      await cluster.client.create(PODS, { ...pod, metadata: { ...pod.metadata, name } }, namespace);
      await cluster.ready(`${namespace}/${name}`, PATIENCE_MS);
      await cluster.client.delete(PODS, name, { namespace });
      const isGone = (): Promise<boolean> => cluster.client.get(PODS, name, namespace).then(() => false, isNotFound);
      await waitFor(`pod ${namespace}/${name} to be gone`, isGone, { timeoutMs: PATIENCE_MS, everyMs: 200 });
    }
  }
}
