import { Backoff, type BackoffLimits } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Lease } from '../plan/snapshot.ts';
import type { AddressBook } from './address-book.ts';
import type { Calm } from './calm.ts';
import type { LeaseStore } from './leases.ts';
import type { Datapath } from './pod-network.ts';

/** What releases stand on. */
export interface ReleasesOptions {
  readonly datapath: Pick<Datapath, 'detach' | 'remove'>;
  readonly leases: Pick<LeaseStore, 'put' | 'remove'>;
  readonly book: Pick<AddressBook, 'release'>;
  readonly clock: Clock;
  readonly log: Log;
  /** When a link may be removed: the kernel lets nobody change links meanwhile, for 10 ms and more. */
  readonly calm: Pick<Calm, 'reached'>;
  readonly retry?: BackoffLimits;
  /** Called when a lease is gone for good. */
  readonly onGone?: () => void;
}

/** A lease on its way out. None of its promises needs to be waited for; only `detached` may reject. */
export interface Release {
  /** The pod is off the network. Rejects with what the last attempt failed with; a later one may still succeed. */
  readonly detached: Promise<void>;
  /** The first attempt to detach has ended, well or badly. */
  readonly attempted: Promise<void>;
  /** Link, connections and lease are gone and the addresses are free, or `stop` came first. */
  readonly gone: Promise<void>;
  /** Somebody waits for `gone`: it does not wait for calm any more. */
  hurry(): void;
}

const RETRY: BackoffLimits = { initialMs: 50, maxMs: 10_000 };

/**
 * Takes leases away in the background: off the network, then the link and its connections, then the file, then the
 * addresses are free. Tries again until it is done; what is not done when the agent ends is on file as leaving.
 */
export class Releases {
  readonly #options: ReleasesOptions;
  readonly #underWay = new Map<string, Release>();
  readonly #stop = new AbortController();

  constructor(options: ReleasesOptions) {
    this.#options = options;
  }

  /** The release of what is behind `hostInterface`, while it lasts. */
  underWay(hostInterface: string): Release | undefined {
    return this.#underWay.get(hostInterface);
  }

  /** Begins to release `lease`; one that is under way is that one. */
  begin(lease: Lease): Release {
    const known = this.#underWay.get(lease.hostInterface);
    if (known !== undefined) return known;
    const { datapath, leases, log } = this.#options;
    try {
      leases.put(lease, 'leaving');
    } catch (error) {
      log.warn({ err: error, hostInterface: lease.hostInterface }, 'could not write that a lease is leaving');
    }
    const first = settledOf(() => datapath.detach(lease));
    const state: { detached: Promise<void> } = { detached: first };
    const hurry = new AbortController();
    const gone = this.#finish(lease, state, AbortSignal.any([hurry.signal, this.#stop.signal]));
    const release: Release = {
      attempted: first.catch(() => undefined),
      gone,
      get detached() {
        return state.detached;
      },
      hurry: () => hurry.abort(),
    };
    this.#underWay.set(lease.hostInterface, release);
    void gone.finally(() => this.#underWay.delete(lease.hostInterface));
    return release;
  }

  /** Resolves when nothing is under way, without waiting for calm. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) {
      for (const release of this.#underWay.values()) release.hurry();
      await Promise.all([...this.#underWay.values()].map(({ gone }) => gone));
    }
  }

  /** Ends after the steps that are under way, without trying again. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.settled();
  }

  async #finish(lease: Lease, state: { detached: Promise<void> }, hurry: AbortSignal): Promise<void> {
    const { datapath, leases, book, clock, log, calm, retry, onGone } = this.#options;
    const backoff = new Backoff(retry ?? RETRY);
    let detached = false;
    for (;;) {
      try {
        await state.detached;
        detached = true;
        await calm.reached(hurry);
        await datapath.remove(lease);
        leases.remove(lease.hostInterface);
        book.release(lease.addresses);
        onGone?.();
        return;
      } catch (error) {
        const { hostInterface, namespace, pod } = lease;
        log.error({ err: error, hostInterface, namespace, pod }, 'could not release a lease yet; trying again');
      }
      await clock.sleep(backoff.next(), this.#stop.signal).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      if (!detached) {
        state.detached = settledOf(() => datapath.detach(lease));
        state.detached.catch(() => undefined); // whoever waits for it hears of it
      }
    }
  }
}

/** What `step` gives, a rejection too when it throws at once. */
async function settledOf(step: () => Promise<void>): Promise<void> {
  await step();
}
