import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { LEASES } from '../objects/resources.ts';
import { isConflict, isNotFound, type KubeClient } from './client.ts';
import { asRecord, asText, identityOf } from './json.ts';

/** Times of an election, in milliseconds. */
export interface LeaderTimes {
  /** How long a lease holds that nobody renews; others take it only after they have seen it unchanged for so long. */
  readonly leaseMs: number;
  /** A leader that could not renew for so long stops leading; shorter than `leaseMs`, so that it stops before. */
  readonly renewDeadlineMs: number;
  /** Between two tries, to acquire or to renew; with a jitter of a fifth. */
  readonly retryMs: number;
}

/** The times of the program. */
export const LEADER_TIMES: LeaderTimes = { leaseMs: 10_000, renewDeadlineMs: 7_000, retryMs: 1_000 };

/** How long a clean stop waits for the release of the lease, in milliseconds. */
const RELEASE_MS = 2_000;

/** What an election needs. */
export interface LeaderOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  readonly name: string;
  /** Who we are; no other process may have the same, a restarted one neither. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly times?: LeaderTimes;
  /** A number in [0, 1), for the jitter. */
  readonly random?: () => number;
}

type Attempt = 'leading' | 'held by another' | 'failed';

/**
 * Leader election on a coordination.k8s.io/v1 Lease, as client-go does it: whoever writes the lease under its
 * resource version has it. It makes leaders one at a time in the ordinary run of things; a leader that is paused
 * may still write when it wakes, so whatever must not happen twice is guarded by resource versions, too.
 */
export class LeaderElection {
  readonly #options: LeaderOptions;
  readonly #times: LeaderTimes;
  /** The lease as last seen, and when it was first seen so, by our own clock. */
  #seen: { readonly version: string; readonly at: number } | undefined;
  #leading = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#times = options.times ?? LEADER_TIMES;
  }

  /** Whether we lead now. */
  get leading(): boolean {
    return this.#leading;
  }

  /**
   * Until `signal` is aborted: waits to lead, then runs `work`, whose signal is aborted when we lead no longer; and
   * again. A new term begins only when the old work has ended; a clean stop releases the lease.
   *
   * @throws what `work` throws, after the release of the lease.
   */
  async run(signal: AbortSignal, work: (leaderSignal: AbortSignal) => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.#options.clock.now();
      const attempt = await this.#within(this.#times.renewDeadlineMs, signal, this.#attempt());
      if (attempt === 'leading') await this.#lead(signal, startedAt, work);
      await this.#pause(signal);
    }
  }

  async #lead(signal: AbortSignal, since: number, work: (leaderSignal: AbortSignal) => Promise<void>): Promise<void> {
    const { log, name, identity } = this.#options;
    const lost = new AbortController();
    const workEnded = new AbortController();
    const leaderSignal = AbortSignal.any([signal, lost.signal]);
    this.#leading = true;
    log.info({ lease: name, identity }, 'leading');
    const working = work(leaderSignal).finally(() => workEnded.abort());
    let held = true;
    try {
      held = await this.#keep(since, AbortSignal.any([signal, workEnded.signal]));
      this.#leading = held;
      if (!held) {
        log.warn({ lease: name, identity }, 'leading no longer: the lease could not be renewed');
        lost.abort(new Error('leading no longer'));
      }
      await working;
    } catch (error) {
      // Work that stops with the reason that we gave it has stopped as it should.
      if (!leaderSignal.aborted || error !== leaderSignal.reason) throw error;
    } finally {
      this.#leading = false;
      if (held) await this.#release();
    }
  }

  /** Renews the lease until `stop`; false as soon as it is another's, or the deadline is over. */
  async #keep(since: number, stop: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    let renewedAt = since;
    while (!stop.aborted) {
      await this.#pause(stop);
      if (stop.aborted) break;
      const startedAt = clock.now();
      const attempt = await this.#within(renewedAt + this.#times.renewDeadlineMs - startedAt, stop, this.#attempt());
      if (attempt === 'leading') renewedAt = startedAt;
      else if (attempt === 'held by another') return false;
      else if (!stop.aborted && clock.now() - renewedAt >= this.#times.renewDeadlineMs) return false;
    }
    return true;
  }

  /** The outcome of `attempt`, or 'failed' when it takes longer than `ms` or until `stop`. */
  async #within(ms: number, stop: AbortSignal, attempt: Promise<Attempt>): Promise<Attempt> {
    const done = new AbortController();
    const late = this.#options.clock.sleep(Math.max(ms, 0), AbortSignal.any([stop, done.signal])).then(
      (): Attempt => 'failed',
      (): Attempt => 'failed',
    );
    try {
      return await Promise.race([attempt, late]);
    } finally {
      done.abort();
    }
  }

  /** One try to have the lease for another term. Never rejects. */
  async #attempt(): Promise<Attempt> {
    const { client, namespace, name, identity, log } = this.#options;
    try {
      const lease = await client.get(LEASES, name, namespace).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (lease === undefined) {
        await client.create(LEASES, this.#next(undefined), namespace);
        return 'leading';
      }
      const holder = holderOf(lease);
      if (holder !== '' && holder !== identity && !this.#expired(lease)) return 'held by another';
      await client.replace(LEASES, this.#next(lease));
      return 'leading';
    } catch (error) {
      // A conflict says that somebody else wrote first; the next try sees who.
      if (!isConflict(error)) log.debug({ lease: name, err: error }, 'lease could not be written');
      return 'failed';
    }
  }

  /** Whether the lease stayed the same for its whole term before our eyes; other machines' clocks have no say. */
  #expired(lease: unknown): boolean {
    const now = this.#options.clock.now();
    const version = identityOf(lease).resourceVersion;
    if (this.#seen?.version !== version) this.#seen = { version, at: now };
    const seconds = specOf(lease)['leaseDurationSeconds'];
    return now - this.#seen.at >= (typeof seconds === 'number' ? seconds * 1000 : this.#times.leaseMs);
  }

  /** The lease with us as its holder from now. */
  #next(lease: unknown): object {
    const { namespace, name, identity, clock } = this.#options;
    const spec = specOf(lease);
    const now = microTime(clock.now());
    const ours = holderOf(lease) === identity;
    const transitions = spec['leaseTransitions'];
    const before = typeof transitions === 'number' ? transitions : 0;
    return {
      ...(lease === undefined ? { metadata: { name, namespace } } : (lease as object)),
      spec: {
        ...spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.round(this.#times.leaseMs / 1000),
        acquireTime: ours ? spec['acquireTime'] : now,
        renewTime: now,
        leaseTransitions: ours || lease === undefined ? before : before + 1,
      },
    };
  }

  /** Gives the lease up, so that another leads at once. What fails here only makes the others wait its term out. */
  async #release(): Promise<void> {
    const { client, namespace, name, identity, log } = this.#options;
    const give = async (): Promise<Attempt> => {
      const lease = await client.get(LEASES, name, namespace);
      if (holderOf(lease) !== identity) return 'held by another';
      await client.replace(LEASES, { ...(lease as object), spec: { ...specOf(lease), holderIdentity: '' } });
      return 'leading';
    };
    // A renewal that was still under way may come between once.
    const tries = give()
      .catch((error: unknown) => (isConflict(error) ? give() : Promise.reject(error as Error)))
      .catch((error: unknown): Attempt => {
        log.debug({ lease: name, err: error }, 'lease could not be released');
        return 'failed';
      });
    await this.#within(RELEASE_MS, new AbortController().signal, tries);
    log.info({ lease: name, identity }, 'leading no longer: stopped');
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, random = Math.random } = this.#options;
    const ms = this.#times.retryMs * (1 + random() / 5);
    await clock.sleep(ms, signal).catch(() => undefined);
  }
}

function specOf(lease: unknown): Readonly<Record<string, unknown>> {
  return asRecord(asRecord(lease)?.['spec']) ?? {};
}

function holderOf(lease: unknown): string {
  return asText(specOf(lease)['holderIdentity']);
}

/** Kubernetes' MicroTime: RFC 3339 with exactly six digits of a second. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
