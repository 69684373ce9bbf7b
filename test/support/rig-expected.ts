import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NFLOG_GROUP } from '../../src/agent/denied-listener.ts';
import { parseLeaseFile } from '../../src/agent/lease-file.ts';
import type { StoredLease } from '../../src/agent/leases.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { unwrap } from '../../src/lib/result.ts';
import { parseHost } from '../../src/objects/host.ts';
import type { Meta, Parsed } from '../../src/objects/meta.ts';
import { parseNamespace } from '../../src/objects/namespace.ts';
import { parseNetworkInForce } from '../../src/objects/network.ts';
import { type Pod, parsePod } from '../../src/objects/pod.ts';
import { HOSTS, NAMESPACES, NETWORKS, PODS, type Resource, TENANTS } from '../../src/objects/resources.ts';
import { matches, parseSelectorText } from '../../src/objects/selector.ts';
import { parseTenant } from '../../src/objects/tenant.ts';
import { type Desired, plan } from '../../src/plan/desired.ts';
import type { Snapshot } from '../../src/plan/snapshot.ts';
import { POLICY_KINDS } from '../../src/policy/policy-kinds.ts';
import type { RigHost } from './rig-host.ts';

const LEASES = '/run/romana/leases';
/** The interface that the rig gives its hosts. */
const UPLINK = 'eth0';
/** Watches that depend on what other watches show: more rounds than that are a bug of the plan. */
const MAX_ROUNDS = 10;

/** What the API server holds, as an agent that starts now would read it. */
export type Cluster = Omit<Snapshot, 'node' | 'localPods' | 'peerPods' | 'leases' | 'uplinks'> & {
  readonly pods: readonly Pod[];
};

/** Reads everything that decides verdicts. */
export async function readCluster(client: KubeClient): Promise<Cluster> {
  async function read<T extends { readonly meta: Meta }>(
    resource: Resource,
    parse: (json: unknown) => Parsed<T>,
  ): Promise<T[]> {
    return (await client.list(resource)).items.map((item) => unwrap(parse(item)));
  }
  const [networks, hosts, tenants, namespaces, pods] = await Promise.all([
    read(NETWORKS, parseNetworkInForce),
    read(HOSTS, parseHost),
    read(TENANTS, parseTenant),
    read(NAMESPACES, parseNamespace),
    read(PODS, parsePod),
  ]);
  const policies = await Promise.all(
    POLICY_KINDS.map(async ({ resource, parse }) =>
      (await client.list(resource)).items.map((item) => unwrap(parse(item))),
    ),
  );
  const [network] = networks;
  if (network === undefined) throw new Error('the rig has no Network');
  return {
    network,
    hosts: byName(hosts),
    tenants: byName(tenants),
    namespaces: byName(namespaces),
    policies: policies.flat(),
    pods,
  };
}

/** The leases on a host's disk, and the files beside them. */
export function readLeases(host: RigHost): { readonly leases: readonly StoredLease[]; readonly others: string[] } {
  const names = readdirSync(host.path(LEASES));
  const files = names.filter((name) => name.endsWith('.json'));
  const leases = files.map((name) => unwrap(parseLeaseFile(readFileSync(host.path(join(LEASES, name)), 'utf8'))));
  return { leases, others: names.filter((name) => !name.endsWith('.json')) };
}

/** How a host should stand that reads the cluster and its leases anew. */
export function expectedOf(
  cluster: Cluster,
  host: RigHost,
  leases: readonly StoredLease[],
): { readonly snapshot: Snapshot; readonly desired: Desired } {
  const local = cluster.pods.filter(({ nodeName }) => nodeName === host.name);
  const own = {
    ...cluster,
    node: host.name,
    localPods: new Map(local.map((pod) => [pod.meta.uid, pod])),
    leases: leases.filter(({ state }) => state !== 'leaving').map(({ lease }) => lease),
    uplinks: [UPLINK],
    nflogGroup: NFLOG_GROUP,
  };
  let peerPods: readonly Pod[] = [];
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const snapshot = { ...own, peerPods };
    const desired = plan(snapshot);
    const known = peerPods;
    peerPods = cluster.pods.filter(({ meta }) =>
      desired.peerWatches.some(({ namespace, selector }) => {
        const inside = namespace === '' || meta.namespace === namespace;
        return inside && matches(unwrap(parseSelectorText(selector)), meta.labels);
      }),
    );
    if (peerPods.every((pod, n) => pod === known[n]) && peerPods.length === known.length) return { snapshot, desired };
  }
  throw new Error(`the peer watches of ${host.name} come to no end`);
}

function byName<T extends { readonly meta: Meta }>(objects: readonly T[]): ReadonlyMap<string, T> {
  return new Map(objects.map((object) => [object.meta.name, object]));
}
