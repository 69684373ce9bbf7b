import { Reflector } from '../src/kube/reflector.ts';
import { silentLog } from '../src/lib/log.ts';
import { ok } from '../src/lib/result.ts';
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
  const wanted = new Set(pods.map((pod) => `${NAMESPACE}/${nameOf(pod)}`));
  const all = Promise.withResolvers<bigint>();
  const reflector = new Reflector({
    client: cluster.client,
    resource: PODS,
    namespace: NAMESPACE,
    parse: (json) => ok({ ready: conditionOf(json, 'Ready')?.status === 'True' }),
    onChange: (keys) => {
      for (const key of keys) if (reflector.store.get(key)?.ready === true) wanted.delete(key);
      if (wanted.size === 0) all.resolve(process.hrtime.bigint());
    },
    log: silentLog,
  });
  const stop = new AbortController();
  const stopped = reflector.start(stop.signal);
  const late = setTimeout(() => all.reject(new Error(`waited in vain for ${[...wanted].join(', ')}`)), ROUND_MS);
  try {
    await reflector.whenSynced();
    const began = process.hrtime.bigint();
    const [ended] = await Promise.all([all.promise, cluster.apply(...pods)]);
    return Number(ended - began) / 1e9;
  } finally {
    clearTimeout(late);
    stop.abort();
    await stopped;
  }
}

/** Deletes all of the bench's pods. @returns the seconds until they were gone */
export async function deletePods(cluster: KubeCluster): Promise<number> {
  const began = process.hrtime.bigint();
  await cluster.kubectl('delete', 'pods', '-n', NAMESPACE, '-l', 'app=bench', '--wait=true');
  return Number(process.hrtime.bigint() - began) / 1e9;
}
