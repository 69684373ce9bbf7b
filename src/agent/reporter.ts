import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { CoalescingRunner } from '../lib/coalescing-runner.ts';
import type { Log } from '../lib/log.ts';
import type { Condition, Unenforced } from '../objects/host-report.ts';
import type { Exception } from '../objects/host.ts';
import { HOST_REPORTS, HOSTS } from '../objects/resources.ts';
import type { Use } from './use.ts';

/** What the agent tells the cluster of its host. */
export interface Report {
  /** Local pods whose labels and bits differ. */
  readonly exceptions: readonly Exception[];
  /** Worked out when it is written, not at each change. */
  readonly use: () => Use;
  /** The host id that its leases have. */
  readonly hostId: number;
  /** Of the Host that the agent acts as. */
  readonly hostUid: string;
  /** Names of releases of ids, see acknowledgements.ts. */
  readonly acknowledged: readonly string[];
  readonly conditions: readonly Condition[];
  readonly unenforced: readonly Unenforced[];
}

/** Between two writes of the HostReport, in milliseconds. */
const REPORT_EVERY_MS = 2_000;

/** After so long the HostReport is written again although nothing changed: who reads it sees that we live. In milliseconds. */
const HEARTBEAT_MS = 60_000;

/** What a reporter needs. */
export interface ReporterOptions {
  readonly client: KubeClient;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Writes this node's HostReport and the exceptions in its Host's status, each only when it differs from what was
 * written last. Exceptions are written at once, since other hosts' verdicts depend on them; the rest, when pods have
 * come to rest.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #exceptions: CoalescingRunner;
  readonly #rest: CoalescingRunner;
  readonly #stop = new AbortController();
  #report: Report | undefined;
  #writtenExceptions: string | undefined;
  #writtenRest: string | undefined;
  #cancelHeartbeat: () => void = () => undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    const runner = (write: () => Promise<void>): CoalescingRunner =>
      new CoalescingRunner(write, {
        clock: options.clock,
        // Other hosts' verdicts wait for it: 2 s after the API server's return all is caught up.
        retry: { initialMs: 100, maxMs: 500 },
        onError: (error) => options.log.warn({ err: error }, 'could not write the report of this host; tries again'),
      });
    this.#exceptions = runner(() => this.#writeExceptions());
    this.#rest = runner(() => this.#writeReport());
  }

  /** Whether what other hosts' verdicts depend on is written. */
  get idle(): boolean {
    return this.#exceptions.idle;
  }

  /** Takes the present state; it is written in the background, the latest only. */
  update(report: Report): void {
    this.#report = report;
    this.#exceptions.markDirty();
    this.#rest.markDirty();
  }

  /** Writes everything again: what was written may be lost, since the API server may have gone back in time. */
  forget(): void {
    this.#writtenExceptions = undefined;
    this.#writtenRest = undefined;
    this.#exceptions.markDirty();
    this.#rest.markDirty();
  }

  /** Ends after the writes that are under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancelHeartbeat();
    await Promise.all([this.#exceptions.stop(), this.#rest.stop()]);
  }

  async #writeExceptions(): Promise<void> {
    const { client, node } = this.#options;
    const exceptions = this.#report?.exceptions.map(({ labels, ...rest }) => ({
      ...rest,
      labels: Object.fromEntries(labels),
    }));
    const text = JSON.stringify(exceptions);
    if (exceptions === undefined || text === this.#writtenExceptions) return;
    await client.patch(HOSTS, node, { status: { exceptions } }, { subresource: 'status' });
    this.#writtenExceptions = text;
  }

  async #writeReport(): Promise<void> {
    // Pods come in bursts; one write says it for all of them (R23).
    if (this.#writtenRest !== undefined) {
      await this.#options.clock.sleep(REPORT_EVERY_MS, this.#stop.signal).catch(() => undefined);
    }
    if (this.#report === undefined) return;
    const { use, ...rest } = this.#report;
    const { exceptions: _written, ...status } = { ...use(), ...rest };
    const text = JSON.stringify(status);
    if (text === this.#writtenRest) return;
    const { clock } = this.#options;
    await this.#writeStatus({ ...status, reportedAt: new Date(clock.now()).toISOString() });
    this.#writtenRest = text;
    this.#cancelHeartbeat();
    if (this.#stop.signal.aborted) return;
    this.#cancelHeartbeat = clock.after(HEARTBEAT_MS, () => {
      this.#writtenRest = undefined;
      this.#rest.markDirty();
    });
  }

  async #writeStatus(status: object): Promise<void> {
    const { client, node } = this.#options;
    try {
      await client.patch(HOST_REPORTS, node, { status }, { subresource: 'status' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const apiVersion = `${HOST_REPORTS.group}/${HOST_REPORTS.version}`;
      const { kind } = HOST_REPORTS;
      try {
        await client.create(HOST_REPORTS, { apiVersion, kind, metadata: { name: node } });
      } catch (conflict) {
        if (!isConflict(conflict)) throw conflict;
      }
      await client.patch(HOST_REPORTS, node, { status }, { subresource: 'status' });
    }
  }
}
