/** Bounds of a back-off, in milliseconds. */
export interface BackoffLimits {
  readonly initialMs: number;
  readonly maxMs: number;
}

/** Exponential back-off with full jitter in the upper half: each wait is between half of the step and the step. */
export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #step: number;

  /** @param random a number in [0, 1), for the jitter. */
  constructor(limits: BackoffLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
    this.#step = limits.initialMs;
  }

  /** The next wait in milliseconds; the step doubles up to the limit. */
  next(): number {
    const step = this.#step;
    this.#step = Math.min(step * 2, this.#limits.maxMs);
    return step / 2 + (this.#random() * step) / 2;
  }

  /** Starts again from the initial step, after a success. */
  reset(): void {
    this.#step = this.#limits.initialMs;
  }
}
