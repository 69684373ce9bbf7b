import assert from 'node:assert/strict';
import { test } from 'node:test';

import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { awaitServers, listSpecs, noUpstream, runUpstream } from '../support/upstream-e2e.ts';
import { formatSpecs } from '../support/upstream-spec.ts';
import { LEFT_OUT } from './left-out-specs.ts';

const PROGRAMS = programsFolder(process.env);
const MINIONS = ['minion1', 'minion2', 'minion3'];
/** These have tests of their own. */
const ELSEWHERE = [String.raw`\[Conformance\]`, 'Netpol'];

void test(
  'upstream: what else of sig-network can run on such a cluster passes',
  { skip: NO_KUBERNETES || noUpstream(PROGRAMS) },
  async (t) => {
    const all = await listSpecs(PROGRAMS, 'sig-network');
    const others = all.filter((name) => !ELSEWHERE.some((pattern) => new RegExp(pattern).test(name)));
    for (const { specs } of LEFT_OUT) {
      assert.ok(
        others.some((name) => new RegExp(specs).test(name)),
        `the list names specs that are not: ${specs}`,
      );
    }
    const expected = others.filter((name) => !LEFT_OUT.some(({ specs }) => new RegExp(specs).test(name)));

    await using cluster = await KubeCluster.up({ minions: MINIONS.length });
    // Some specs are about traffic that stays in its zone, and take three of them.
    for (const name of MINIONS) await cluster.kubectl('label', 'node', name, `topology.kubernetes.io/zone=${name}`);
    await awaitServers(cluster.client);
    const specs = await runUpstream({
      programs: PROGRAMS,
      kubeconfig: cluster.kubeconfig,
      nodes: MINIONS.length,
      focus: 'sig-network',
      skip: [...ELSEWHERE, ...LEFT_OUT.map((left) => left.specs)],
      processes: 8,
      timeoutMinutes: 40,
    });
    const report = formatSpecs('upstream, what else of sig-network can run', specs);
    t.diagnostic(report);
    const passed = specs.filter(({ state }) => state === 'passed').map(({ name }) => name);
    assert.deepEqual(passed.sort(), expected.sort(), report);
  },
);
