import { type LoggedPacket, Nflog } from '../kernel/nflog.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Nft } from '../nft/nft.ts';
import type { AgentMetrics } from './metrics.ts';

/** The group that is listened to unless another is given: the number of the agent's port. */
export const NFLOG_GROUP = 9671;

/** How denied packets are listened to. */
export interface DeniedListenerOptions {
  /** Of NFLOG; undefined: nobody listens, and no rule tells. */
  readonly group: number | undefined;
  /** Finds out whether the kernel takes a rule that tells. */
  readonly nft: Pick<Nft, 'check'>;
  readonly onPacket: (packet: LoggedPacket) => void;
  /** `group` is another one now. */
  readonly onChange: () => void;
  readonly metrics: Pick<AgentMetrics, 'deniedLost' | 'deniedListening'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two attempts at a group that another program has, in milliseconds: an agent that is replaced ends soon. */
const RETRY_MS = 2_000;

/**
 * Listens to the NFLOG group of denied packets. Policy never depends on it: while the group can't be had, rules tell
 * nobody, a warning and a metric say so, and it is tried again.
 */
export class DeniedListener {
  readonly #options: DeniedListenerOptions;
  #nflog: Nflog | undefined;
  #cancel: () => void = () => undefined;
  /** What was wrong the last time, so that it is said once. */
  #said = '';

  /** Listens from now on, in this thread's network namespace. */
  constructor(options: DeniedListenerOptions) {
    this.#options = options;
    options.metrics.deniedListening.set(0);
    this.#listen();
  }

  /** The group that rules are to tell of denied packets; undefined while nobody listens. */
  get group(): number | undefined {
    return this.#nflog === undefined ? undefined : this.#options.group;
  }

  close(): void {
    this.#cancel();
    this.#nflog?.close();
    this.#nflog = undefined;
  }

  #listen(): void {
    const { group, nft, metrics, onPacket, log } = this.#options;
    if (group === undefined) return metrics.deniedListening.remove();
    try {
      // It is there with the socket's first request; what rules need of the kernel beside it may be missing.
      const nflog = new Nflog({
        group,
        onPacket,
        onLost: (count) => metrics.deniedLost.inc(count),
        onEnded: (error) => this.#ended(error),
      });
      try {
        nft.check(checkText(group));
      } catch (error) {
        nflog.close();
        throw error;
      }
      this.#nflog = nflog;
    } catch (error) {
      this.#failed(error as Error);
      return;
    }
    metrics.deniedListening.set(1);
    if (this.#said !== '') log.info({ group }, 'listens to denied packets again');
    this.#said = '';
    this.#options.onChange();
  }

  #ended(error: Error): void {
    this.#nflog = undefined;
    this.#options.metrics.deniedListening.set(0);
    this.#failed(error);
    this.#options.onChange();
  }

  #failed(error: Error): void {
    const { group, clock, log } = this.#options;
    if (error.message !== this.#said) {
      log.warn({ err: error, group }, 'cannot listen to denied packets, which are dropped and counted all the same');
    }
    this.#said = error.message;
    this.#cancel = clock.after(RETRY_MS, () => this.#listen());
  }
}

/** A rule that tells, in a table that only this check knows. */
function checkText(group: number): string {
  const chain = 'inet romana-check told';
  return `add table inet romana-check\nadd chain ${chain}\nadd rule ${chain} log group ${group} snaplen 128\n`;
}
