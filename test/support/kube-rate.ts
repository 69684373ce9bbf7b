import assert from 'node:assert/strict';
import { waitFor } from '../../src/lib/wait-for.ts';
import { at } from '../../src/local/kube-json.ts';
import type { KubeCluster } from './kube-cluster.ts';

/**
 * The annotations bound no bursts, and runtimes take the greatest that there is: 512 MiB pass before a pod feels its
 * limit. So long may they take, in milliseconds.
 */
const BURST_MS = 120_000;

/** From one pod to the address of another, where `iperf3 -s` runs; with `reverse` the other way. */
export interface Way {
  readonly from: string;
  readonly to: string;
  readonly reverse: boolean;
}

/** What arrives of all that can be sent in a second, in bits per second. */
export async function rateOf(cluster: KubeCluster, { from, to, reverse }: Way): Promise<number> {
  const words = ['iperf3', '-c', to, '-t', '1', '-J', ...(reverse ? ['-R'] : [])];
  const { stdout, exitCode } = await cluster.exec(from, ...words);
  assert.equal(exitCode, 0, stdout);
  return Number(at(JSON.parse(stdout), 'end', 'sum_received', 'bits_per_second'));
}

/** Waits until no more than `limit` bits per second arrive. @throws Error with the rates there were instead */
export async function rateFalls(cluster: KubeCluster, way: Way, limit: number): Promise<void> {
  const rates: number[] = [];
  const low = async (): Promise<boolean> => {
    const rate = await rateOf(cluster, way);
    rates.push(rate);
    return rate <= limit;
  };
  await waitFor(`${way.from} to be bound to ${limit} bit/s`, low, { timeoutMs: BURST_MS }).catch((error: unknown) =>
    assert.fail(`${String(error)}: ${rates.map(Math.round).join(', ')}`),
  );
}
