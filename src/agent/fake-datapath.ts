import type { Lease } from '../plan/snapshot.ts';
import type { Datapath } from './pod-network.ts';

/** The steps of a datapath. */
export type DatapathStep = keyof Datapath;

/**
 * A datapath that only remembers, for tests: which links there are, which pods are enforced, and every call. It
 * refuses what the real one could not do, and fails or waits where it is told to.
 */
export class FakeDatapath implements Datapath {
  /** Every call as "step interface", in order. */
  readonly calls: string[] = [];
  /** Links by host interface; 'up' once pods can use them. */
  readonly links = new Map<string, 'down' | 'up'>();
  /** Host interfaces whose pod's elements and policy are in. */
  readonly enforced = new Set<string>();
  /** What a step does before anything else, for example throw. */
  readonly before = new Map<DatapathStep, (lease: Lease) => void | Promise<void>>();
  /** What `check` finds. */
  problems: readonly string[] = [];

  async prepare(lease: Lease, _netnsPath: string): Promise<void> {
    await this.#begin('prepare', lease);
    if (this.links.has(lease.hostInterface)) throw new Error(`link ${lease.hostInterface} exists`);
    this.links.set(lease.hostInterface, 'down');
  }

  async enforce(lease: Lease): Promise<void> {
    await this.#begin('enforce', lease);
    this.enforced.add(lease.hostInterface);
  }

  up(lease: Lease): void {
    void this.#begin('up', lease);
    if (!this.enforced.has(lease.hostInterface)) throw new Error('a link may go up only when policy is in force');
    this.links.set(lease.hostInterface, 'up');
  }

  async detach(lease: Lease): Promise<void> {
    await this.#begin('detach', lease);
    this.enforced.delete(lease.hostInterface);
    if (this.links.has(lease.hostInterface)) this.links.set(lease.hostInterface, 'down');
  }

  async remove(lease: Lease): Promise<void> {
    await this.#begin('remove', lease);
    this.links.delete(lease.hostInterface);
  }

  netnsId(netnsPath: string): string {
    return `of ${netnsPath}`;
  }

  check(lease: Lease, _netnsPath: string): readonly string[] {
    void this.#begin('check', lease);
    return this.problems;
  }

  #begin(step: DatapathStep, lease: Lease): void | Promise<void> {
    this.calls.push(`${step} ${lease.hostInterface}`);
    return this.before.get(step)?.(lease);
  }
}
