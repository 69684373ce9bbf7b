/** What each part may do, as `VERB RESOURCE.GROUP`: what it does, and nothing else. A new line here needs a reason. */
export const MAY: Readonly<Record<'romana-agent' | 'romana-controller', readonly string[]>> = {
  'romana-agent': [
    'create events',
    'create hostreports.romana.io',
    'get idclaims.romana.io',
    'get pods',
    'list clusternetworkpolicies.policy.networking.k8s.io',
    'list hosts.romana.io',
    'list namespaces',
    'list networkpolicies.networking.k8s.io',
    'list networkpolicys.demo.romana.io',
    'list networks.romana.io',
    'list pods',
    'list policytraces.romana.io',
    'list tenants.romana.io',
    'patch events',
    'patch hostreports/status.romana.io',
    'patch hosts/status.romana.io',
    'patch policytraces/status.romana.io',
    'watch clusternetworkpolicies.policy.networking.k8s.io',
    'watch hosts.romana.io',
    'watch namespaces',
    'watch networkpolicies.networking.k8s.io',
    'watch networkpolicys.demo.romana.io',
    'watch networks.romana.io',
    'watch pods',
    'watch policytraces.romana.io',
    'watch tenants.romana.io',
  ],
  'romana-controller': [
    'create events',
    'create hosts.romana.io',
    'create idclaims.romana.io',
    'create leases.coordination.k8s.io in romana-system',
    'create networks.romana.io',
    'create tenants.romana.io',
    'delete hostreports.romana.io',
    'delete hosts.romana.io',
    'delete idclaims.romana.io',
    'delete policytraces.romana.io',
    'delete tenants.romana.io',
    'get clusternetworkpolicies.policy.networking.k8s.io',
    'get hostreports.romana.io',
    'get hosts.romana.io',
    'get idclaims.romana.io',
    'get leases.coordination.k8s.io romana-controller in romana-system',
    'get namespaces',
    'get nodes',
    'get tenants.romana.io',
    'list clusternetworkpolicies.policy.networking.k8s.io',
    'list hostreports.romana.io',
    'list hosts.romana.io',
    'list idclaims.romana.io',
    'list namespaces',
    'list networkpolicies.networking.k8s.io',
    'list networkpolicys.demo.romana.io',
    'list networks.romana.io',
    'list nodes',
    'list pods',
    'list policytraces.romana.io',
    'list tenants.romana.io',
    'patch clusternetworkpolicies/status.policy.networking.k8s.io',
    'patch events',
    'patch hosts.romana.io',
    'patch idclaims.romana.io',
    'patch networks/status.romana.io',
    'patch nodes/status',
    'patch tenants/status.romana.io',
    'update leases.coordination.k8s.io romana-controller in romana-system',
    'watch clusternetworkpolicies.policy.networking.k8s.io',
    'watch hostreports.romana.io',
    'watch hosts.romana.io',
    'watch idclaims.romana.io',
    'watch namespaces',
    'watch networkpolicies.networking.k8s.io',
    'watch networkpolicys.demo.romana.io',
    'watch networks.romana.io',
    'watch nodes',
    'watch pods',
    'watch tenants.romana.io',
  ],
};

/** A rule of RBAC, or of a SelfSubjectRulesReview, over objects. */
export interface ResourceRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** What a rule permits, each as `VERB RESOURCE.GROUP`, with the name after it where it is of one object only. */
export function permissionsOf({ apiGroups, resources, resourceNames = [''], verbs }: ResourceRule): readonly string[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      resourceNames.flatMap((name) =>
        verbs.map((verb) => `${verb} ${resource}${group && `.${group}`}${name && ` ${name}`}`),
      ),
    ),
  );
}
