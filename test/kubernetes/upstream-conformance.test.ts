import assert from 'node:assert/strict';
import { test } from 'node:test';

import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { noUpstream, runUpstream } from '../support/upstream-e2e.ts';
import { formatSpecs } from '../support/upstream-spec.ts';

const PROGRAMS = programsFolder(process.env);
/** What every network must pass, by Kubernetes v1.36. */
const SPECS = 47;

void test(
  'upstream: a cluster with Romana passes all conformance tests of sig-network',
  { skip: NO_KUBERNETES || noUpstream(PROGRAMS) },
  async (t) => {
    await using cluster = await KubeCluster.up({ minions: 2 });
    const specs = await runUpstream({
      programs: PROGRAMS,
      kubeconfig: cluster.kubeconfig,
      nodes: 2,
      focus: String.raw`sig-network.*\[Conformance\]`,
      processes: 4,
      timeoutMinutes: 15,
    });
    const report = formatSpecs('upstream conformance tests of sig-network', specs);
    t.diagnostic(report);
    assert.equal(specs.filter(({ state }) => state === 'passed').length, SPECS, report);
    assert.equal(specs.length, SPECS, report);
  },
);
