import assert from 'node:assert/strict';
import { test } from 'node:test';

import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { noUpstream, runUpstream } from '../support/upstream-e2e.ts';
import { formatSpecs } from '../support/upstream-spec.ts';

const PROGRAMS = programsFolder(process.env);
/** 42 of TCP, 3 of UDP and 2 of the API, in Kubernetes v1.36. */
const SPECS = 47;

void test(
  'upstream: all NetworkPolicy tests pass, but for those that need SCTP sockets',
  { skip: NO_KUBERNETES || noUpstream(PROGRAMS) },
  async (t) => {
    await using cluster = await KubeCluster.up({ minions: 2 });
    const specs = await runUpstream({
      programs: PROGRAMS,
      kubeconfig: cluster.kubeconfig,
      nodes: 2,
      focus: 'sig-network.*Netpol',
      skip: ['SCTPConnectivity'],
      processes: 4,
      timeoutMinutes: 30,
    });
    const report = formatSpecs('upstream NetworkPolicy tests', specs);
    t.diagnostic(report);
    assert.equal(specs.filter(({ state }) => state === 'passed').length, SPECS, report);
    assert.equal(specs.length, SPECS, report);
  },
);
