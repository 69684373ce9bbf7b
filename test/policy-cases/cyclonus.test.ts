import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../../src/lib/result.ts';
import { isJsonObject } from '../../src/objects/field.ts';
import { parseNamespace } from '../../src/objects/namespace.ts';
import { parseNetworkPolicy } from '../../src/objects/network-policy.ts';
import { parsePod } from '../../src/objects/pod.ts';
import { refuseInvalid } from '../../src/objects/policy-fault.ts';
import { clusterOf, type Cluster } from '../../src/policy/cluster.ts';
import { evaluate, type Port, type Verdict } from '../../src/policy/evaluate.ts';
import { v1Policy } from '../../src/policy/from-v1.ts';
import { objectsOf, readCyclonusCases, type CaseStep } from './cyclonus-cases.ts';

const file = readCyclonusCases();

function clusterAt(step: CaseStep): Cluster {
  const objects = objectsOf(file, step);
  const ofKind = (kind: string): readonly object[] => objects.filter((o) => isJsonObject(o) && o['kind'] === kind);
  return clusterOf({
    segmentLabel: 'segment',
    namespaces: ofKind('Namespace').map((json) => unwrap(parseNamespace(json))),
    nodes: [],
    pods: ofKind('Pod').map((json) => unwrap(parsePod(json))),
    policies: ofKind('NetworkPolicy').map((json) => v1Policy(unwrap(refuseInvalid(parseNetworkPolicy(json))))),
  });
}

/** `TCP/80`, or the port of that name, which all pods have. */
function portOf(text: string): Port {
  const [protocol = '', port = ''] = text.split('/');
  const named = file.resources.containers.find((c) => c.portName === port && c.protocol === protocol)?.port;
  return { protocol: protocol as 'TCP', port: named ?? Number(port) };
}

function mark(verdict: Verdict): string {
  return verdict === 'allow' ? '.' : 'X';
}

for (const { id, steps } of file.cases) {
  test(`evaluate decides cyclonus ${id} as published`, () => {
    for (const [number, step] of steps.entries()) {
      const { world, endpoints: all } = clusterAt(step);
      // The file sorts them as texts, in which y-2/a is before y/a.
      const endpoints = all.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      assert.deepEqual(
        endpoints.map(({ name }) => name),
        step.endpoints,
      );
      for (const text of step.ports) {
        const found = { combined: '', ingress: '', egress: '' };
        const wanted = { combined: '', ingress: '', egress: '' };
        for (const [i, from] of endpoints.entries()) {
          for (const [j, to] of endpoints.entries()) {
            if (i === j) continue; // no policy cuts a pod off from itself
            const decision = evaluate(world, from.party, to.party, portOf(text));
            found.combined += mark(decision.verdict);
            found.ingress += mark(decision.ingress.verdict);
            found.egress += mark(decision.egress.verdict);
            for (const side of ['combined', 'ingress', 'egress'] as const) {
              wanted[side] += step.expected[side][text]?.[i]?.[j];
            }
          }
        }
        assert.deepEqual(found, wanted, `step ${number}, ${text}`);
      }
    }
  });
}
