import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseGoTestOutput } from './go-test-output.ts';
import { inScratchFolder, lastLines, runToEnd, type Spec } from './upstream-spec.ts';

const PROGRAM = 'network-policy-api-conformance.test';
const API = 'admissionregistration.k8s.io/v1';
const NAME = 'no-sctp-servers';

/** Why upstream's tests of ClusterNetworkPolicy do not run with the programs in a folder; false where they do. */
export function noClusterPolicyTests(programs: string): string | false {
  if (existsSync(join(programs, 'bin', PROGRAM))) return false;
  return `needs ${PROGRAM} in ${programs}/bin: sh scripts/kubernetes/build.sh ${programs} conformance`;
}

/**
 * Objects without which the tests' servers do not start where the kernel has no SCTP: each server pod has containers
 * that serve SCTP, and those end at once there. The API server leaves them out of the tests' StatefulSets.
 */
export const WITHOUT_SCTP_SERVERS: readonly object[] = [
  {
    apiVersion: API,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: {
        resourceRules: [
          { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['statefulsets'] },
        ],
        namespaceSelector: { matchExpressions: [{ key: 'conformance-house', operator: 'Exists' }] },
      },
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: `[JSONPatch{
              op: "replace",
              path: "/spec/template/spec/containers",
              value: object.spec.template.spec.containers.filter(c,
                !(has(c.env) && c.env.exists(e, e.name.startsWith("SERVE_SCTP_PORT_"))))
            }]`,
          },
        },
      ],
    },
  },
  {
    apiVersion: API,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name: NAME },
    spec: { policyName: NAME },
  },
];

/**
 * Runs upstream's conformance tests of ClusterNetworkPolicy, standard and experimental features, without those of SCTP.
 * The cluster has `WITHOUT_SCTP_SERVERS` and the CustomResourceDefinition.
 *
 * @throws Error when the run as a whole came to nothing.
 */
export async function runClusterPolicyTests(programs: string, kubeconfig: string): Promise<Spec[]> {
  const words = [
    PROGRAM,
    '-test.v',
    '-test.run=^TestConformance$',
    '-test.skip=^TestConformance$/SCTP',
    '-test.timeout=30m',
    '-all-features',
  ];
  const env = { KUBECONFIG: kubeconfig, WITHOUT_SCTP: 'yes' };
  const output = await inScratchFolder(async (directory) =>
    readFileSync(await runToEnd(join(programs, 'bin'), words, directory, env), 'utf8'),
  );
  const specs = parseGoTestOutput(output);
  if (specs.length === 0) throw new Error(`upstream's tests ended with:\n${lastLines(output, 40)}`);
  return specs;
}
