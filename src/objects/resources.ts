/** Where the API server has a kind of object. */
export interface Resource {
  /** '' is the core group. */
  readonly group: string;
  readonly version: string;
  /** Lower case, as in URLs. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

function resource(groupVersion: string, plural: string, kind: string, scope: 'namespaced' | 'cluster'): Resource {
  const slash = groupVersion.indexOf('/');
  return {
    group: groupVersion.slice(0, Math.max(slash, 0)),
    version: groupVersion.slice(slash + 1),
    plural,
    kind,
    namespaced: scope === 'namespaced',
  };
}

/** Core Namespaces: the tenants. */
export const NAMESPACES: Resource = resource('v1', 'namespaces', 'Namespace', 'cluster');
/** Core Nodes: the hosts. */
export const NODES: Resource = resource('v1', 'nodes', 'Node', 'cluster');
/** Core Pods: the endpoints. */
export const PODS: Resource = resource('v1', 'pods', 'Pod', 'namespaced');
/** Core Events. */
export const EVENTS: Resource = resource('v1', 'events', 'Event', 'namespaced');
/** Leases, for leader election. */
export const LEASES: Resource = resource('coordination.k8s.io/v1', 'leases', 'Lease', 'namespaced');
/** Kubernetes' own NetworkPolicy. */
export const NETWORK_POLICIES: Resource = resource(
  'networking.k8s.io/v1',
  'networkpolicies',
  'NetworkPolicy',
  'namespaced',
);
/** Core Services. */
export const SERVICES: Resource = resource('v1', 'services', 'Service', 'namespaced');
/** Where the endpoints of Services are. */
export const ENDPOINT_SLICES: Resource = resource(
  'discovery.k8s.io/v1',
  'endpointslices',
  'EndpointSlice',
  'namespaced',
);
/** Programs that run on every node. */
export const DAEMON_SETS: Resource = resource('apps/v1', 'daemonsets', 'DaemonSet', 'namespaced');
/** The cluster's policies; not every cluster has them. */
export const CLUSTER_NETWORK_POLICIES: Resource = resource(
  'policy.networking.k8s.io/v1alpha2',
  'clusternetworkpolicies',
  'ClusterNetworkPolicy',
  'cluster',
);
/** The Network, one for a cluster, named `default`. */
export const NETWORKS: Resource = resource('romana.io/v1', 'networks', 'Network', 'cluster');
/** Hosts, named after their Nodes. */
export const HOSTS: Resource = resource('romana.io/v1', 'hosts', 'Host', 'cluster');
/** Tenants, named after their Namespaces. */
export const TENANTS: Resource = resource('romana.io/v1', 'tenants', 'Tenant', 'cluster');
/** HostReports, named after their Nodes. */
export const HOST_REPORTS: Resource = resource('romana.io/v1', 'hostreports', 'HostReport', 'cluster');
/** Questions to hosts about single connections, for as long as somebody asks. */
export const POLICY_TRACES: Resource = resource('romana.io/v1', 'policytraces', 'PolicyTrace', 'cluster');
/** The demo policy of 2016; its plural is the one of 2016, too. */
export const DEMO_POLICIES: Resource = resource('demo.romana.io/v1', 'networkpolicys', 'NetworkPolicy', 'namespaced');

/** `v1`, `romana.io/v1`: as objects of `r` have it in `apiVersion`. */
export function apiVersionOf(r: Resource): string {
  return r.group === '' ? r.version : `${r.group}/${r.version}`;
}
