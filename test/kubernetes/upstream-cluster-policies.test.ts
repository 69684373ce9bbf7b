import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import {
  noClusterPolicyTests,
  runClusterPolicyTests,
  WITHOUT_SCTP_SERVERS,
} from '../support/upstream-cluster-policies.ts';
import { formatSpecs } from '../support/upstream-spec.ts';

const PROGRAMS = programsFolder(process.env);
const CRD = 'deploy/third-party/network-policy-api/policy.networking.k8s.io_clusternetworkpolicies.yaml';

void test(
  'upstream: all ClusterNetworkPolicy tests pass, standard and experimental, but for those that need SCTP sockets',
  { skip: NO_KUBERNETES || noClusterPolicyTests(PROGRAMS) },
  async (t) => {
    await using cluster = await KubeCluster.up({ minions: 2 });
    await cluster.kubectl('apply', '--server-side', '-f', join(resolve(import.meta.dirname, '../..'), CRD));
    await cluster.apply(...WITHOUT_SCTP_SERVERS);
    const specs = await runClusterPolicyTests(PROGRAMS, cluster.kubeconfig);
    const report = formatSpecs('upstream ClusterNetworkPolicy tests', specs);
    t.diagnostic(report);
    assert.ok(
      specs.every(({ state }) => state === 'passed'),
      report,
    );
  },
);
