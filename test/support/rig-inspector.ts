import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { waitFor } from '../../src/lib/wait-for.ts';
import { difference, HostKernel } from './host-kernel.ts';
import type { Rig } from './rig.ts';
import { expectedOf, readCluster, readLeases } from './rig-expected.ts';
import type { RigHost } from './rig-host.ts';
import type { RigPod } from './rig-pod.ts';

/** Links go when nobody waits for it, at the latest after a second; and the machine may be busy. */
const LEFT_MS = 5_000;

/**
 * Looks at what hosts hold on disk and in the kernel, and says what differs from what a fresh plan of what the API
 * server has now would make: leases, links, neighbours, routes, rules, exceptions, and connections with their marks.
 */
export class RigInspector {
  readonly #rig: Rig;
  readonly #kernels: ReadonlyMap<RigHost, HostKernel>;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#kernels = new Map(rig.hosts.map((host) => [host, new HostKernel(host.ns.path)]));
  }

  /**
   * Waits until every host is as it should be with exactly these pods.
   *
   * @throws AssertionError with all that is not, when the time is over.
   */
  async assertWhole(pods: readonly RigPod[]): Promise<void> {
    let found: string[] = [];
    const look = async (): Promise<boolean> => {
      found = await this.#look(pods);
      return found.length === 0;
    };
    await waitFor('the hosts to be whole', look, { timeoutMs: LEFT_MS, everyMs: 50 }).catch(() => undefined);
    assert.deepEqual(found, []);
  }

  close(): void {
    for (const kernel of this.#kernels.values()) kernel.close();
  }

  async #look(pods: readonly RigPod[]): Promise<string[]> {
    const cluster = await readCluster(this.#rig.api.client);
    return [...this.#kernels].flatMap(([host, kernel]) => {
      const { leases, others } = readLeases(host);
      const { snapshot, desired } = expectedOf(cluster, host, leases);
      const its = pods.filter((pod) => pod.host === host);
      const held = leases.map(({ lease, state }) => `${state} ${lease.containerId} ${lease.addresses.join(' ')}`);
      const wanted = its.map(({ containerId, addresses }) => `active ${containerId} ${addresses.join(' ')}`);
      const published = cluster.hosts.get(host.name)?.exceptions ?? [];
      return [
        ...difference('lease', held, wanted),
        ...others.map((name) => `the file ${name} is left in the folder of leases`),
        ...kernel.problems(snapshot, desired),
        ...(isDeepStrictEqual(published, desired.exceptions)
          ? []
          : [`published exceptions ${JSON.stringify(published)}, not ${JSON.stringify(desired.exceptions)}`]),
      ].map((problem) => `${host.name}: ${problem}`);
    });
  }
}
