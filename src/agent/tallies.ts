import type { CountedElement } from '../kernel/nft-counters.ts';
import { isKernelError } from '../kernel/kernel-error.ts';
import { TALLIES } from '../plan/tally.ts';
import { TABLE } from '../plan/ruleset-builder.ts';
import type { Lease } from '../plan/snapshot.ts';
import type { AgentMetrics } from './metrics.ts';

/** What connections are counted from, and where it is shown. */
export interface TalliesOptions {
  /** What the kernel has counted in a set of our table. */
  readonly counters: (table: string, set: string) => readonly CountedElement[];
  readonly leases: readonly Lease[];
  readonly metrics: Pick<AgentMetrics, 'accepted' | 'denied'>;
}

/**
 * Sets the metrics of accepted and denied connections to what the kernel has counted until now: of the pods that are
 * here, and of no others.
 */
export function measureTallies({ counters, leases, metrics }: TalliesOptions): void {
  const pods = new Map(leases.map((lease) => [lease.hostInterface, lease]));
  for (const what of ['accepted', 'denied'] as const) {
    const metric = metrics[what];
    metric.reset();
    for (const direction of ['egress', 'ingress'] as const) {
      for (const { name, packets } of countersOf(counters, TALLIES[what][direction])) {
        const lease = pods.get(name);
        if (lease !== undefined) metric.inc({ namespace: lease.namespace, pod: lease.pod, direction }, packets);
      }
    }
  }
}

/** None while our table is not there, at the start or because others removed it. */
function countersOf(counters: TalliesOptions['counters'], set: string): readonly CountedElement[] {
  try {
    return counters(TABLE, set);
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return [];
    throw error;
  }
}
