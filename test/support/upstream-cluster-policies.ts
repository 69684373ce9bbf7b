import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { KubeClient } from '../../src/kube/client.ts';
import { parseGoTestOutput } from './go-test-output.ts';
import { mutate } from './mutating-policy.ts';
import { inScratchFolder, lastLines, runToEnd, type Spec } from './upstream-spec.ts';

const PROGRAM = 'network-policy-api-conformance.test';
/** How the names begin that containers have in their environment for each port on which they serve SCTP. */
const SCTP_SERVER = 'SERVE_SCTP_PORT_';

/** Why upstream's tests of ClusterNetworkPolicy do not run with the programs in a folder; false where they do. */
export function noClusterPolicyTests(programs: string): string | false {
  if (existsSync(join(programs, 'bin', PROGRAM))) return false;
  return `needs ${PROGRAM} in ${programs}/bin: sh scripts/kubernetes/build.sh ${programs} conformance`;
}

/** One with a server of SCTP, which is only tried and never made. */
const STATEFUL_SET = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'tried' },
  spec: {
    selector: { matchLabels: { app: 'tried' } },
    template: {
      metadata: { labels: { app: 'tried' } },
      spec: {
        containers: [
          { name: 'other', image: 'tools' },
          { name: 'sctp', image: 'tools', env: [{ name: `${SCTP_SERVER}9003`, value: 'foo' }] },
        ],
      },
    },
  },
};

/**
 * Lets the tests' servers start where the kernel has no SCTP: each server pod has containers that serve SCTP, and those
 * end at once there. From now on the API server leaves them out.
 */
export async function leaveOutSctpServers(client: KubeClient): Promise<void> {
  await mutate(client, {
    name: 'no-sctp-servers',
    resource: 'statefulsets',
    patches: `[JSONPatch{
      op: "replace",
      path: "/spec/template/spec/containers",
      value: object.spec.template.spec.containers.filter(c,
        !(has(c.env) && c.env.exists(e, e.name.startsWith("${SCTP_SERVER}"))))
    }]`,
    tried: STATEFUL_SET,
    changed: (spec) => !spec.includes(SCTP_SERVER),
  });
}

/**
 * Runs upstream's conformance tests of ClusterNetworkPolicy, standard and experimental features, without those of SCTP.
 * The cluster has the CustomResourceDefinition; see also `leaveOutSctpServers`.
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
