import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { CoalescingRunner } from '../lib/coalescing-runner.ts';
import type { Log } from '../lib/log.ts';
import type { Exception } from '../objects/host.ts';
import { HOST_REPORTS, HOSTS } from '../objects/resources.ts';

/** What the agent tells the cluster of its host. */
export interface Report {
  /** Local pods whose labels and bits differ; null while the Host is unknown. */
  readonly exceptions: readonly Exception[] | null;
  /** Ids in use by leases, `segment` 0 and `tenant` 0 included. */
  readonly leases: readonly { readonly tenant: number; readonly segment: number; readonly count: number }[];
  readonly use: { readonly endpoints: number; readonly pool: number };
}

/** What a reporter needs. */
export interface ReporterOptions {
  readonly client: KubeClient;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Writes this node's HostReport and the exceptions in its Host's status, each only when it differs from what was
 * written last. Exceptions go first: other hosts' verdicts depend on them.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #runner: CoalescingRunner;
  #report: Report | undefined;
  #writtenExceptions: string | undefined;
  #writtenUse: string | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#runner = new CoalescingRunner(() => this.#write(), {
      clock: options.clock,
      retry: { initialMs: 100, maxMs: 1_500 },
      onError: (error) => options.log.warn({ err: error }, 'could not write the report of this host; tries again'),
    });
  }

  /** Takes the present state; it is written in the background, the latest only. */
  update(report: Report): void {
    this.#report = report;
    this.#runner.markDirty();
  }

  /** Ends after the write that is under way. */
  stop(): Promise<void> {
    return this.#runner.stop();
  }

  async #write(): Promise<void> {
    const report = this.#report;
    if (report === undefined) return;
    const { client, node } = this.#options;
    if (report.exceptions !== null) {
      const exceptions = report.exceptions.map(({ labels, ...rest }) => ({
        ...rest,
        labels: Object.fromEntries(labels),
      }));
      const text = JSON.stringify(exceptions);
      if (text !== this.#writtenExceptions) {
        await client.patch(HOSTS, node, { status: { exceptions } }, { subresource: 'status' });
        this.#writtenExceptions = text;
      }
    }
    const status = { leases: report.leases, use: report.use };
    const text = JSON.stringify(status);
    if (text !== this.#writtenUse) {
      await this.#writeUse(status);
      this.#writtenUse = text;
    }
  }

  async #writeUse(status: object): Promise<void> {
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
