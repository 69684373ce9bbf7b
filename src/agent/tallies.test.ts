import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { KernelError } from '../kernel/kernel-error.ts';
import type { CountedElement } from '../kernel/nft-counters.ts';
import { snapshotOf } from '../plan/snapshot-fixture.ts';
import { AgentMetrics } from './metrics.ts';
import { measureTallies } from './tallies.ts';

const POD = { namespace: 'tenant-a', name: 'backend', host: 1, endpoint: 3 };

test('measureTallies shows what the kernel has counted, of the pods that are here alone', async () => {
  const metrics = new AgentMetrics();
  const kernel = new Map<string, CountedElement[]>([
    ['accepted-egress', [{ name: 'roma-backend', packets: 7 }]],
    ['accepted-ingress', [{ name: 'roma-gone', packets: 9 }]],
    ['denied-egress', [{ name: 'roma-backend', packets: 0 }]],
    ['denied-ingress', [{ name: 'roma-backend', packets: 2 }]],
  ]);
  let { leases } = snapshotOf({ pods: [POD] });
  const measure = (): void =>
    measureTallies({ counters: (table, set) => kernel.get(set) ?? assert.fail(table), leases, metrics });
  const shown = async (): Promise<string[]> =>
    (await metrics.podRegistry.metrics())
      .split('\n')
      .filter((line) => /^romana_agent_connections_(acc|den)/.test(line));
  measure();
  // Another time: they are no sums of what was shown before.
  measure();
  assert.deepEqual(await shown(), [
    'romana_agent_connections_accepted_total{namespace="tenant-a",pod="backend",direction="egress"} 7',
    'romana_agent_connections_denied_total{namespace="tenant-a",pod="backend",direction="egress"} 0',
    'romana_agent_connections_denied_total{namespace="tenant-a",pod="backend",direction="ingress"} 2',
  ]);
  leases = [];
  measure();
  assert.deepEqual(await shown(), []);
});

const failing = (errno: number) => (): never => {
  throw new KernelError('list', errno);
};

test('measureTallies shows nothing while the table is not there, and throws for anything else', () => {
  const { leases } = snapshotOf({ pods: [POD] });
  const measure = (errno: number): void =>
    measureTallies({ counters: failing(errno), leases, metrics: new AgentMetrics() });
  measure(constants.errno.ENOENT);
  assert.throws(() => measure(constants.errno.EPERM), KernelError);
});
