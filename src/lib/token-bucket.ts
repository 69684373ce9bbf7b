import type { Clock } from './clock.ts';

/** How often something may be done. */
export interface Rate {
  /** So often at once. */
  readonly burst: number;
  /** Then once in so many milliseconds. */
  readonly everyMs: number;
}

/** Lets something be done `burst` times at once and then once every `everyMs`, as long as the clock goes on. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, 'now'>;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, clock: Pick<Clock, 'now'>) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.burst;
    this.#at = clock.now();
  }

  /** Whether it may be done now; then that counts. */
  take(): boolean {
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Whether nothing was taken that has not come back. */
  get full(): boolean {
    this.#fill();
    return this.#tokens >= this.#rate.burst;
  }

  #fill(): void {
    const now = this.#clock.now();
    // A clock that was set back begins anew from there.
    const passed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + passed / this.#rate.everyMs);
  }
}
