import assert from 'node:assert/strict';
import { explainCommand, type Explanation } from '../../src/cli/policy/explain.ts';
import type { LiveTrace } from '../../src/cli/policy/live.ts';
import { runCommand } from '../../src/cli/policy/test-run.ts';
import type { KubeCluster } from './kube-cluster.ts';

/** What one host says, the same in both families. */
type Said = readonly [host: string, verdict: string, agrees: boolean | null, comment: string];

/** `romana policy explain --live` of a TCP connection between two pods. */
export async function explainLive(
  cluster: KubeCluster,
  from: string,
  to: string,
  port: number,
): Promise<{ readonly status: number; readonly egress: Said; readonly ingress: Said }> {
  const { status, stdout, stderr } = await runCommand(
    (deps) => explainCommand({ files: [], from, to, port: `TCP/${port}`, live: true, output: 'json' }, deps),
    { client: cluster.client },
  );
  assert.notEqual(stdout, '', stderr);
  const { live } = JSON.parse(stdout) as Explanation;
  assert.ok(live !== undefined);
  return { status, egress: alike(live.egress), ingress: alike(live.ingress) };
}

function alike(traces: readonly LiveTrace[]): Said {
  const said = traces.map(({ host, verdict, agrees, comment = '' }): Said => [host, verdict, agrees, comment]);
  const [four, six] = said;
  assert.ok(four !== undefined && said.length === 2, JSON.stringify(traces));
  assert.deepEqual(six, four, JSON.stringify(traces));
  return four;
}
