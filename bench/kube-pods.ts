import { conditionOf, nameOf } from '../src/local/kube-json.ts';
import { PODS } from '../src/objects/resources.ts';
import type { KubeCluster } from '../test/support/kube-cluster.ts';

/** Where the bench's pods are. */
export const NAMESPACE = 'default';

/** How long all pods of a round may take, in milliseconds. */
const ROUND_MS = 900_000;

/** Pods that do nothing; on one node, or, with none named, where the scheduler puts them. */
export function podsOn(node: string | undefined, names: readonly string[]): readonly object[] {
  return names.map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { app: 'bench', segment: 'bench' } },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      terminationGracePeriodSeconds: 1,
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      containers: [{ name: 'main', image: 'registry.k8s.io/pause:3.10', imagePullPolicy: 'IfNotPresent' }],
    },
  }));
}

/** `kubectl apply` of pods until all are Ready. @returns the seconds that took */
export async function applyUntilReady(cluster: KubeCluster, pods: readonly object[]): Promise<number> {
  const wanted = new Set(pods.map(nameOf));
  const signal = AbortSignal.timeout(ROUND_MS);
  const { resourceVersion } = await cluster.client.list(PODS, { namespace: NAMESPACE });
  const began = process.hrtime.bigint();
  const applied = cluster.apply(...pods);
  const events = cluster.client.watch(PODS, { namespace: NAMESPACE, resourceVersion, signal });
  for await (const { object } of events) {
    if (conditionOf(object, 'Ready')?.status === 'True') wanted.delete(nameOf(object));
    if (wanted.size === 0) break;
  }
  const ended = process.hrtime.bigint();
  await applied;
  return Number(ended - began) / 1e9;
}

/** Deletes all of the bench's pods. @returns the seconds until they were gone */
export async function deletePods(cluster: KubeCluster): Promise<number> {
  const began = process.hrtime.bigint();
  await cluster.kubectl('delete', 'pods', '-n', NAMESPACE, '-l', 'app=bench', '--wait=true');
  return Number(process.hrtime.bigint() - began) / 1e9;
}
