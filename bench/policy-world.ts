import { DEFAULT_PLANS, encode, hostRange } from '../src/addr/plan.ts';
import { unwrap } from '../src/lib/result.ts';
import { ID_CLAIMS, idClaimToJson } from '../src/objects/id-claim.ts';
import {
  HOSTS,
  NAMESPACES,
  NETWORK_POLICIES,
  NETWORKS,
  PODS,
  type Resource,
  TENANTS,
} from '../src/objects/resources.ts';
import { PORTS } from './traffic-race.ts';

// The objects of a cluster with many policies: ten tenants, in each 25 groups of pods by the label `app`, 40 policies
// for each group, and a hundred sets of peers, by the label `role` or by segment.

/** The node that is measured. */
export const NODE = 'node-0';
/** Policies that select a pod, once there are so many. */
export const POLICIES_EACH = 40;

const TENANT_NAMES = Array.from({ length: 10 }, (_, n) => `t${n}`);
const GROUPS = 25;
const SEGMENTS = 5;
/** Distinct sets of peers in each tenant. */
const ROLES = 100;
/** How far apart the peers of one group and of the next begin. */
const STEP = 4;

/** An object and where the API server has it. */
export interface Made {
  readonly resource: Resource;
  readonly namespace: string;
  readonly object: object;
}

/** How policies name their peers. */
export type PeersBy = 'labels' | 'segments';

/** What there is before any pod or policy: the Network, Hosts, namespaces and tenants. */
export function clusterObjects(hosts: number): readonly Made[] {
  const plans = DEFAULT_PLANS.map(({ cidr, hostBits, tenantBits, segmentBits, endpointBits }) => {
    return { cidr, hostBits, tenantBits, segmentBits, endpointBits };
  });
  const made: Made[] = [of(NETWORKS, { metadata: { name: 'default' }, spec: { plans } })];
  for (let id = 0; id < hosts; id++) {
    const ranges = DEFAULT_PLANS.map((plan) => hostRange(plan, id));
    const spec = { id, ranges, addresses: [nodeAddress(id)] };
    made.push(of(HOSTS, { metadata: { name: nodeName(id) }, spec }));
    made.push(of(ID_CLAIMS, idClaimToJson({ kind: 'Host', id, holder: { name: nodeName(id), uid: '' } })));
  }
  for (const [n, name] of TENANT_NAMES.entries()) {
    made.push(of(NAMESPACES, { metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } }));
    const segments = Array.from({ length: SEGMENTS }, (_, i) => ({ name: `s${i}`, id: i + 1 }));
    made.push(of(TENANTS, { metadata: { name }, status: { id: n + 1, pooled: false, segments } }));
  }
  return made;
}

/**
 * The pod of a number on a host: its group by the number, its role by both.
 *
 * @param endpoint undefined: it has no address yet.
 */
export function podObject(number: number, host: number, endpoint?: number): Made {
  const group = number % (TENANT_NAMES.length * GROUPS);
  const tenant = group % TENANT_NAMES.length;
  const app = Math.floor(group / TENANT_NAMES.length);
  const segment = app % SEGMENTS;
  const ids = { host, tenant: tenant + 1, segment: segment + 1, endpoint: endpoint ?? 0 };
  const ips = endpoint === undefined ? [] : DEFAULT_PLANS.map((plan) => unwrap(encode(plan, ids)));
  const labels = { segment: `s${segment}`, app: `a${app}`, role: `r${(number + 7 * host) % ROLES}` };
  return of(
    PODS,
    {
      metadata: { name: `pod-${host}-${number}`, labels },
      spec: { nodeName: nodeName(host), containers: [{ name: 'main', image: 'nginx' }] },
      status: { phase: 'Running', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
    },
    TENANT_NAMES[tenant],
  );
}

/** Pods of hosts other than the first, those from one number to another on each, in the order of their addresses. */
export function podsElsewhere(hosts: number, from: number, to: number): readonly Made[] {
  const made: Made[] = [];
  for (let host = 1; host < hosts; host++) {
    const given = new Map<string, number>();
    for (let n = 0; n < to; n++) {
      const where = slotOf(n);
      const endpoint = given.get(where) ?? 3;
      given.set(where, endpoint + 1);
      if (n >= from) made.push(podObject(n, host, endpoint));
    }
  }
  return made;
}

/**
 * The policy of a number. The first 40 select the group of pod 0, the next 40 that of pod 1, and so on; the first one
 * of each group is the one that means the client, and is asked neither first nor last.
 *
 * @param closed whether it opens nothing.
 */
export function policyObject(number: number, by: PeersBy, closed = false): Made {
  const group = Math.floor(number / POLICIES_EACH) % (TENANT_NAMES.length * GROUPS);
  const tenant = group % TENANT_NAMES.length;
  const app = Math.floor(group / TENANT_NAMES.length);
  const place = (number + POLICIES_EACH / 2) % POLICIES_EACH;
  const role = (app * STEP + place) % ROLES;
  const matchLabels = by === 'labels' ? { role: `r${role}` } : { segment: `s${role % SEGMENTS}` };
  const ports = Object.values(PORTS).flatMap((port) => ['TCP', 'UDP'].map((protocol) => ({ protocol, port })));
  const spec = {
    podSelector: { matchLabels: { app: `a${app}` } },
    policyTypes: ['Ingress'],
    ingress: closed ? [] : [{ from: [{ podSelector: { matchLabels } }], ports }],
  };
  const name = `a${app}-${String(place).padStart(2, '0')}`;
  return of(NETWORK_POLICIES, { metadata: { name }, spec }, TENANT_NAMES[tenant]);
}

/** Whom the first policy means. */
export const CLIENT_LABELS = { segment: 's0', app: 'none', role: `r${POLICIES_EACH / 2}` } as const;
/** Where the client and pod 0 are. */
export const CLIENT_NAMESPACE = 't0';

/** The address of a node. */
export function nodeAddress(id: number): string {
  return `192.168.99.${id + 11}`;
}

/** The name of a node. */
export function nodeName(id: number): string {
  return `node-${id}`;
}

function slotOf(number: number): string {
  const group = number % (TENANT_NAMES.length * GROUPS);
  return `${group % TENANT_NAMES.length} ${Math.floor(group / TENANT_NAMES.length) % SEGMENTS}`;
}

function of(resource: Resource, object: object, namespace = ''): Made {
  return { resource, namespace, object };
}
