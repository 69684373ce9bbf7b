import { permissionsOf, type ResourceRule } from '../../src/cli/install/permissions-fixture.ts';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { fixedToken } from '../../src/kube/token.ts';
import { textAt } from '../../src/local/kube-json.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import type { KubeCluster } from './kube-cluster.ts';

const SYSTEM = 'romana-system';
/** An account that nobody has given anything. */
const NOBODY = 'default';

/** What Kubernetes says of it (authorization.k8s.io/v1). */
interface RulesReview {
  readonly status: {
    readonly resourceRules: readonly ResourceRule[];
    readonly nonResourceRules: readonly {
      readonly verbs: readonly string[];
      readonly nonResourceURLs: readonly string[];
    }[];
  };
}

/**
 * What an account of Romana's may do beyond what every account may, as the authorizers of a cluster have it: each as
 * `VERB RESOURCE.GROUP [NAME]`, or `VERB PATH`, with ` in NAMESPACE` unless it may so in all of them.
 */
export async function permittedTo(cluster: KubeCluster, account: string): Promise<readonly string[]> {
  const { items } = await cluster.client.list(NAMESPACES);
  const namespaces = items.map((item) => textAt(item, 'metadata', 'name'));
  const [own, others] = await Promise.all([account, NOBODY].map((name) => inEach(cluster, name, namespaces)));
  const beyond = namespaces.map((_, n) => own?.[n]?.difference(others?.[n] ?? new Set()) ?? new Set<string>());
  const everywhere = beyond.reduce((all, some) => all.intersection(some));
  const local = namespaces.flatMap((namespace, n) =>
    [...(beyond[n]?.difference(everywhere) ?? [])].map((permission) => `${permission} in ${namespace}`),
  );
  return [...everywhere, ...local].sort();
}

/** Asks as the account itself. */
async function inEach(
  cluster: KubeCluster,
  account: string,
  namespaces: readonly string[],
): Promise<readonly ReadonlySet<string>[]> {
  const asked = await cluster.client.raw('POST', `/api/v1/namespaces/${SYSTEM}/serviceaccounts/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  });
  const { server, ca, serverName } = cluster.connection;
  const client = new HttpKubeClient({ server, ca, serverName, token: fixedToken(textAt(asked, 'status', 'token')) });
  try {
    return await Promise.all(
      namespaces.map(async (namespace) => {
        const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
        const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
        const { status } = (await client.raw('POST', path, review)) as RulesReview;
        const paths = status.nonResourceRules.flatMap(({ verbs, nonResourceURLs }) =>
          nonResourceURLs.flatMap((url) => verbs.map((verb) => `${verb} ${url}`)),
        );
        return new Set([...status.resourceRules.flatMap(permissionsOf), ...paths]);
      }),
    );
  } finally {
    await client.close();
  }
}
