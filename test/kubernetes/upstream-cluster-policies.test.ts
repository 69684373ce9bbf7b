import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import {
  leaveOutSctpServers,
  noClusterPolicyTests,
  runClusterPolicyTests,
} from '../support/upstream-cluster-policies.ts';
import { formatSpecs } from '../support/upstream-spec.ts';

const PROGRAMS = programsFolder(process.env);
const CRD = 'deploy/third-party/network-policy-api/policy.networking.k8s.io_clusternetworkpolicies.yaml';
/** In v0.2.0 of the API, without the 20 that are about SCTP alone. */
const SPECS = 72;

void test(
  'upstream: all ClusterNetworkPolicy tests pass, standard and experimental, but for those that need SCTP sockets',
  { skip: NO_KUBERNETES || noClusterPolicyTests(PROGRAMS) },
  async (t) => {
    await using cluster = await KubeCluster.up({ minions: 2 });
    await cluster.kubectl('apply', '--server-side', '-f', join(resolve(import.meta.dirname, '../..'), CRD));
    await leaveOutSctpServers(cluster.client);
    const specs = await runClusterPolicyTests(PROGRAMS, cluster.kubeconfig);
    const report = formatSpecs('upstream ClusterNetworkPolicy tests', specs);
    t.diagnostic(report);
    assert.equal(specs.filter(({ state }) => state === 'passed').length, SPECS, report);
    assert.equal(specs.length, SPECS, report);
  },
);
