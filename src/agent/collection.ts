import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Lease } from '../plan/snapshot.ts';
import type { Evidence, EvidenceFinder } from './evidence.ts';
import type { LeaseStore } from './leases.ts';
import type { PodNetwork } from './pod-network.ts';

/**
 * Whether nobody can be behind an attachment any more. Without link and namespace there is no sandbox, whatever the API
 * says; a pod's status is never asked, since it comes long after ADD. Where one of the two is there (a pod may delete
 * its own interface, and hold a namespace whose path is gone), the pod itself must be over too. Where both are, it runs,
 * deleted by force or not.
 */
export function isAbandoned({ link, netns, pod }: Evidence): boolean {
  if (link && netns !== 'gone') return false;
  return (!link && netns === 'gone') || pod === 'finished' || pod === 'gone';
}

/** From one look for abandoned attachments to the next, in milliseconds: each costs the kernel a list of its links. */
export const COLLECT_MS = 60_000;

/** What a collector stands on. */
export interface CollectorOptions {
  readonly leases: Pick<LeaseStore, 'withState' | 'damaged'>;
  readonly evidence: Pick<EvidenceFinder, 'look' | 'recheck'>;
  readonly network: Pick<PodNetwork, 'free'>;
  /** From one look to the next, in milliseconds. */
  readonly everyMs: number;
  /** Called when an attachment was freed. */
  readonly onFreed: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Frees leases whose DEL never came, since containerd does not call GC and a runtime may lose what it knew. A lease goes
 * only when two looks in a row, and a third one when its turn has come, find it abandoned.
 */
export class Collector {
  readonly #options: CollectorOptions;
  /** Those that the last look found abandoned. A lease that was made anew is another object. */
  #suspects: ReadonlySet<Lease> = new Set();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Looks again and again until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs } = this.#options;
    await this.#try(() => this.sweep(signal));
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#try(() => this.look(signal));
    }
  }

  /**
   * The look at the start frees at once what has neither link nor namespace: that went while no agent ran, and no ADD
   * can be under way for it.
   */
  async sweep(signal: AbortSignal): Promise<void> {
    const evidenceOf = this.#options.evidence.look();
    const gone = this.#options.leases.withState('active').filter((lease) => {
      const { link, netns } = evidenceOf(lease);
      return !link && netns === 'gone';
    });
    await Promise.all(gone.map((lease) => this.#free(lease, signal)));
  }

  /** One look, which frees what the last one found abandoned too. The signal ends the wait for that. */
  async look(signal: AbortSignal): Promise<void> {
    const evidenceOf = this.#options.evidence.look();
    const { leases } = this.#options;
    const known = [...leases.withState('active'), ...leases.damaged().flatMap(({ lease }) => lease ?? [])];
    const abandoned = known.filter((lease) => isAbandoned(evidenceOf(lease)));
    const before = this.#suspects;
    this.#suspects = new Set(abandoned);
    await Promise.all(abandoned.filter((lease) => before.has(lease)).map((lease) => this.#free(lease, signal)));
  }

  async #try(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#options.log.error({ err: error }, 'could not look for attachments whose pods are gone; looks again');
    }
  }

  async #free(lease: Lease, signal: AbortSignal): Promise<void> {
    const { network, evidence, onFreed, log } = this.#options;
    const { namespace, pod, uid, containerId, addresses } = lease;
    const what = { namespace, pod, uid, containerId, addresses };
    const freed = await network.free(lease, async () => isAbandoned(await evidence.recheck(lease)), signal);
    if (!freed.ok) log.error({ ...what, reason: freed.error.msg }, 'could not free an abandoned attachment yet');
    else if (freed.value) {
      log.warn(what, 'freed an attachment whose sandbox is gone, and for which no DEL came');
      onFreed();
    }
  }
}
