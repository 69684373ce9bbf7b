import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readDeployManifests } from './deploy-manifests.ts';
import { MAY, permissionsOf, type ResourceRule } from './permissions-fixture.ts';

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
}

interface Role extends Named {
  readonly rules: readonly ResourceRule[];
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

function permissions({ metadata: { namespace }, rules }: Role): readonly string[] {
  const where = namespace === undefined ? '' : ` in ${namespace}`;
  return rules.flatMap(permissionsOf).map((permission) => `${permission}${where}`);
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
  const own = ['hostreports', 'hosts', 'idclaims', 'networks', 'policytraces', 'tenants'];
  const kinds = own.map((kind) => `${kind}.romana.io`);
  const read = ['get', 'list', 'watch'].flatMap((verb) =>
    [...kinds, 'networkpolicys.demo.romana.io'].map((kind) => `${verb} ${kind}`),
  );
  const write = ['create', 'delete', 'deletecollection', 'patch', 'update'].map(
    (verb) => `${verb} networkpolicys.demo.romana.io`,
  );
  const ask = ['create', 'delete'].map((verb) => `${verb} policytraces.romana.io`);
  assert.deepEqual(granted('view'), read.sort());
  for (const role of ['edit', 'admin']) assert.deepEqual(granted(role), [...read, ...write, ...ask].sort());
});
