import type { ClusterPlans } from '../cli/ip.ts';
import { type FoundCluster, findCluster, SERVICE_ACCOUNT_DIRECTORY } from '../kube/credentials.ts';
import { HttpKubeClient } from '../kube/http-client.ts';
import { systemClock } from '../lib/clock.ts';
import { ok, type Result } from '../lib/result.ts';
import { parseHost } from '../objects/host.ts';
import { parseNetworkInForce } from '../objects/network.ts';
import { HOSTS, NETWORKS, TENANTS } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import type { ClusterOptions } from './cluster-options.ts';

/** How long `romana ip` waits for a cluster's names, in milliseconds. */
const NAMES_MS = 1_000;

/** Finds the cluster, in the order: --kubeconfig, --name, $KUBECONFIG, service account, only local one, ~/.kube/config. */
export function lookForCluster(options: ClusterOptions): Promise<Result<FoundCluster>> {
  return findCluster({
    kubeconfigFlag: options.kubeconfig,
    nameFlag: options.name,
    kubeconfigEnv: process.env['KUBECONFIG'],
    serviceAccountDir: SERVICE_ACCOUNT_DIRECTORY,
    serviceHost: process.env['KUBERNETES_SERVICE_HOST'],
    servicePort: process.env['KUBERNETES_SERVICE_PORT'],
    home: process.env['HOME'],
    clock: systemClock,
  });
}

/** A client for that cluster. @throws Error that says where it was looked for */
export async function connect(options: ClusterOptions): Promise<{ client: HttpKubeClient; cluster: FoundCluster }> {
  const found = await lookForCluster(options);
  if (!found.ok) throw new Error(found.error);
  return { client: new HttpKubeClient(found.value.connection), cluster: found.value };
}

/**
 * The cluster's plans and the names of its ids; undefined when no cluster answers in time. One that was asked for by
 * `--name` or `--kubeconfig` and is not there is an error: another plan would make another address of the same bits.
 */
export async function knownPlans(options: ClusterOptions): Promise<Result<ClusterPlans | undefined>> {
  const signal = AbortSignal.timeout(NAMES_MS);
  const found = await lookForCluster(options);
  if (!found.ok) return options.name === undefined && options.kubeconfig === undefined ? ok(undefined) : found;
  const client = new HttpKubeClient(found.value.connection, { connectMs: NAMES_MS, headMs: NAMES_MS });
  try {
    const asked = Promise.all([NETWORKS, HOSTS, TENANTS].map((resource) => client.list(resource, { signal })));
    // A request whose connection is not made yet does not end by its signal.
    const late = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const [networks, hosts, tenants] = await Promise.race([asked, late]);
    const network = networks?.items
      .map(parseNetworkInForce)
      .find((parsed) => parsed.ok && parsed.value.meta.name === 'default');
    if (network?.ok !== true) return ok(undefined);
    const known = (tenants?.items ?? []).map(parseTenant).flatMap((parsed) => (parsed.ok ? [parsed.value] : []));
    const hostNames = new Map(
      (hosts?.items ?? [])
        .map(parseHost)
        .flatMap((parsed) => (parsed.ok ? [[parsed.value.id, parsed.value.meta.name]] : [])),
    );
    const tenantOf = (id: number): (typeof known)[number] | undefined => known.find((t) => !t.pooled && t.id === id);
    return ok({
      plans: network.value.plans,
      hostName: (id) => hostNames.get(id),
      tenantName: (id) => tenantOf(id)?.meta.name,
      segmentName: (tenant, id) => tenantOf(tenant)?.segments.find((segment) => segment.id === id)?.name,
    });
  } catch {
    return ok(undefined); // a cluster that does not answer is like none: the names are a courtesy
  } finally {
    await client.close();
  }
}
