import type { Log } from '../lib/log.ts';
import type { Desired } from '../plan/desired.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { Acknowledgements } from './acknowledgements.ts';
import type { HostChecker } from './host-checker.ts';
import type { LeaseStore } from './leases.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Observer } from './observer.ts';
import type { Reporter } from './reporter.ts';
import type { UnenforcedPolicies } from './unenforced-policies.ts';
import { type Use, useOf } from './use.ts';

/** What an announcer tells of, and by what. */
export interface AnnouncerOptions {
  readonly observer: Observer;
  /** Whether all that is known here is in the kernel. */
  readonly caughtUp: () => boolean;
  readonly leases: LeaseStore;
  readonly checker: HostChecker;
  readonly unenforced: UnenforcedPolicies;
  readonly reporter: Reporter;
  readonly metrics: AgentMetrics;
  readonly log: Log;
}

/** Tells the cluster, the log and the metrics how this host is: what is in force, up to which version, and what is not. */
export class Announcer {
  readonly #o: AnnouncerOptions;
  readonly #acknowledgements = new Acknowledgements();
  /** What the last run put in force. */
  #desired: Desired | undefined;
  #host = { hostId: 0, hostUid: '' };
  #told: ReadonlySet<string> = new Set();

  constructor(options: AnnouncerOptions) {
    this.#o = options;
  }

  /** `desired` is in force, planned from `snapshot`. */
  applied(snapshot: Snapshot, desired: Desired): void {
    const { observer, unenforced, metrics } = this.#o;
    const host = snapshot.hosts.get(snapshot.node);
    if (host !== undefined) this.#host = { hostId: host.id, hostUid: host.meta.uid };
    observer.watchPeers(desired.peerWatches);
    this.#warn(desired.warnings);
    unenforced.update(desired.unenforced);
    metrics.peerWatches.set(desired.peerWatches.length);
    this.#desired = desired;
    this.report(observer.version);
  }

  /** Tells the cluster how this host is now, with all in force that is known up to version `inForce`. */
  report(inForce: number | undefined = this.#inForce): void {
    if (this.#desired === undefined) return;
    const { observer, checker, unenforced, reporter } = this.#o;
    const { announcement, hosts, tenants } = observer;
    if (this.#acknowledgements.startAnew(announcement)) return observer.relist();
    const acknowledged = this.#acknowledgements.update(announcement, inForce, {
      hosts: hosts.store.values(),
      tenants: tenants.store.values(),
    });
    const { exceptions } = this.#desired;
    const conditions = [...checker.conditions, unenforced.condition];
    reporter.update({
      exceptions,
      use: () => this.#use(),
      ...this.#host,
      acknowledged,
      conditions,
      unenforced: unenforced.list,
    });
  }

  /** What is known is known for a later version now, which may be late enough to acknowledge. */
  reached(): void {
    if (this.#acknowledgements.pending) this.report();
  }

  /** What was listed afresh may be older than what was written and acknowledged. */
  listed(): void {
    this.#acknowledgements.forget();
    this.#o.reporter.forget();
    this.report();
  }

  /** Brings the metrics of state up to date; called when they are asked for. */
  measure(): void {
    const { observer, reporter, metrics } = this.#o;
    // In force here and, as far as it depends on us, on other hosts.
    const version = this.#inForce;
    if (version !== undefined && reporter.idle) metrics.appliedVersion.set(version);
    const { use } = this.#use();
    metrics.endpoints.set({ kind: 'segment' }, use.endpoints);
    metrics.endpoints.set({ kind: 'pool' }, use.pool);
    for (const [{ plural }, n] of observer.unreadable()) metrics.unreadable.set({ resource: plural }, n);
  }

  /** The version up to which everything is seen and in the kernel; undefined while something is on its way. */
  get #inForce(): number | undefined {
    return this.#o.caughtUp() ? this.#o.observer.version : undefined;
  }

  /** What all leases use, also those that are on their way out. */
  #use(): Use {
    const { observer, leases } = this.#o;
    return useOf(observer.network?.plans ?? [], leases.addresses());
  }

  /** Tells what works less well than it should, once for as long as it lasts. */
  #warn(warnings: Desired['warnings']): void {
    const told = new Set(warnings.map(({ object, message }) => `${object}: ${message}`));
    for (const { reason, object, message } of warnings) {
      if (!this.#told.has(`${object}: ${message}`)) this.#o.log.warn({ reason, object }, message);
    }
    this.#told = told;
    this.#o.metrics.warnings.set(told.size);
  }
}
