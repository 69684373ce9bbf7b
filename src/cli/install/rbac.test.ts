import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readDeployManifests } from './deploy-manifests.ts';

/** What each part may do, as `VERB RESOURCE.GROUP`: what it does, and nothing else. A new line here needs a reason. */
const MAY = {
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
    'list tenants.romana.io',
    'patch events',
    'patch hostreports/status.romana.io',
    'patch hosts/status.romana.io',
    'watch clusternetworkpolicies.policy.networking.k8s.io',
    'watch hosts.romana.io',
    'watch namespaces',
    'watch networkpolicies.networking.k8s.io',
    'watch networkpolicys.demo.romana.io',
    'watch networks.romana.io',
    'watch pods',
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
    'delete tenants.romana.io',
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
    'list tenants.romana.io',
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

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
}

interface Role extends Named {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

interface Binding extends Named {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly kind: string; readonly name: string; readonly namespace: string }[];
}

const { base } = await readDeployManifests(fileURLToPath(new URL('../../../deploy', import.meta.url)));
const ofKind = (...kinds: readonly string[]): readonly (Role & Binding)[] =>
  (base as unknown as readonly (Role & Binding)[]).filter(({ kind }) => kinds.includes(kind));

/** What the ClusterRoles grant that are aggregated to one of Kubernetes' own. */
function granted(to: string): readonly string[] {
  return ofKind('ClusterRole')
    .filter(({ metadata: { labels } }) => labels?.[`rbac.authorization.k8s.io/aggregate-to-${to}`] === 'true')
    .flatMap(permissions)
    .sort();
}

function permissions({ metadata, rules }: Role): readonly string[] {
  const where = metadata.namespace === undefined ? '' : ` in ${metadata.namespace}`;
  return rules.flatMap(({ apiGroups, resources, resourceNames = [''], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.flatMap((name) =>
          verbs.map((verb) => `${verb} ${resource}${group && `.${group}`}${name && ` ${name}`}${where}`),
        ),
      ),
    ),
  );
}

for (const [account, may] of Object.entries(MAY)) {
  test(`${account} may do what it does, and nothing else`, () => {
    const bound = ofKind('ClusterRoleBinding', 'RoleBinding').filter(({ subjects }) =>
      subjects.some(({ name }) => name === account),
    );
    const roles = bound.map(({ roleRef, metadata: { namespace } }) => {
      const role = ofKind(roleRef.kind).find(({ metadata }) => metadata.name === roleRef.name);
      assert.equal(role?.metadata.namespace, namespace);
      return role;
    });
    assert.deepEqual(roles.flatMap((role) => (role === undefined ? [] : permissions(role))).sort(), may);
  });
}

test('every binding is of one of the two accounts in romana-system, and nothing is granted by a pattern', () => {
  for (const { subjects } of ofKind('ClusterRoleBinding', 'RoleBinding')) {
    assert.deepEqual(
      subjects.map(({ kind, name, namespace }) => [kind, name in MAY, namespace]),
      [['ServiceAccount', true, 'romana-system']],
    );
  }
  const all = ofKind('ClusterRole', 'Role').flatMap(permissions);
  assert.deepEqual(
    all.filter((permission) => permission.includes('*')),
    [],
  );
});

test('policies of the demo are in the roles view, edit and admin; what Romana keeps for itself can be read in all', () => {
  const kinds = ['hostreports', 'hosts', 'idclaims', 'networks', 'tenants'].map((kind) => `${kind}.romana.io`);
  const read = ['get', 'list', 'watch'].flatMap((verb) =>
    [...kinds, 'networkpolicys.demo.romana.io'].map((kind) => `${verb} ${kind}`),
  );
  const write = ['create', 'delete', 'deletecollection', 'patch', 'update'].map(
    (verb) => `${verb} networkpolicys.demo.romana.io`,
  );
  assert.deepEqual(granted('view'), read.sort());
  for (const role of ['edit', 'admin']) assert.deepEqual(granted(role), [...read, ...write].sort());
});
