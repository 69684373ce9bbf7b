import assert from 'node:assert/strict';
import type { CheckReport, CheckRow } from '../../src/cli/check/report.ts';
import type { KubeCluster } from './kube-cluster.ts';
import { type Ended, shell } from './walk.ts';

/** Runs `romana` with these words behind it, as a person with the kubeconfig does. */
export function romana(cluster: KubeCluster, words: string): Promise<Ended> {
  return shell(`bin/romana ${words}`, { HOME: cluster.layout.runDirectory, KUBECONFIG: cluster.kubeconfig }, 240_000);
}

/** What `romana check` says. */
export async function check(cluster: KubeCluster, words = ''): Promise<{ report: CheckReport; status: number | null }> {
  const { status, stdout, stderr } = await romana(cluster, `check -o json ${words}`);
  assert.notEqual(stdout, '', stderr);
  return { report: JSON.parse(stdout) as CheckReport, status };
}

/** Its rows that are not as expected. */
export function wrong({ rows }: CheckReport): readonly string[] {
  return rows.filter(({ verdict }) => verdict === 'NOT AS EXPECTED').map(text);
}

/** A row in a line. */
export function text({ from, to, family, happened }: CheckRow): string {
  return `${from} > ${to}${family === null ? '' : ` IPv${family}`}: ${happened}`;
}

/** What the demo expected in vain, and its table. */
export function outcome(told: string): string {
  return told
    .split('\n')
    .filter((line) => /NOT AS EXPECTED|^\d/.test(line))
    .join('\n');
}
