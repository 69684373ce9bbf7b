import { isConflict, isNotFound } from '../../src/kube/client.ts';
import {
  apiVersionOf,
  CLUSTER_NETWORK_POLICIES,
  NETWORK_POLICIES,
  type Resource,
} from '../../src/objects/resources.ts';
import type { Rig } from './rig.ts';

/** Makes and changes policies of Kubernetes' kinds in the API server of a rig. */
export class RigPolicies {
  readonly #rig: Rig;
  readonly #made = new Map<string, () => Promise<void>>();

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** Creates a networking.k8s.io/v1 NetworkPolicy, or gives the one that is there another spec. */
  v1(namespace: string, name: string, spec: object): Promise<void> {
    return this.#put(NETWORK_POLICIES, spec, name, namespace);
  }

  /** The same for a ClusterNetworkPolicy: of the Admin tier and about all pods, unless `spec` says otherwise. */
  cluster(name: string, spec: object): Promise<void> {
    const whole = { tier: 'Admin', priority: 10, subject: { namespaces: {} }, ...spec };
    return this.#put(CLUSTER_NETWORK_POLICIES, whole, name);
  }

  async delete(name: string, namespace?: string): Promise<void> {
    const key = `${namespace ?? ''}/${name}`;
    await this.#made.get(key)?.();
    this.#made.delete(key);
  }

  /** Those of a namespace are gone with it. */
  forget(namespace: string): void {
    for (const key of this.#made.keys()) if (key.startsWith(`${namespace}/`)) this.#made.delete(key);
  }

  /** Deletes all that were made here. */
  async clear(): Promise<void> {
    await Promise.all([...this.#made.values()].map((remove) => remove()));
    this.#made.clear();
  }

  async #put(resource: Resource, spec: object, name: string, namespace?: string): Promise<void> {
    const { client } = this.#rig.api;
    const kind = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    this.#made.set(`${namespace ?? ''}/${name}`, async () => {
      await client.delete(resource, name, namespace === undefined ? {} : { namespace });
    });
    try {
      const old = (await client.get(resource, name, namespace)) as object;
      await client.replace(resource, { ...old, ...kind, spec });
    } catch (error) {
      // The controller has written the status in between.
      if (isConflict(error)) return this.#put(resource, spec, name, namespace);
      if (!isNotFound(error)) throw error;
      await client.create(resource, { ...kind, metadata: { name }, spec }, namespace);
    }
  }
}
