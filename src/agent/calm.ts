import type { Clock } from '../lib/clock.ts';

/** When it is calm, in milliseconds. */
export interface CalmLimits {
  /** Nothing has been under way for so long. */
  readonly quietMs: number;
  /** Nobody waits longer than this, however busy it is. */
  readonly maxMs: number;
}

const LIMITS: CalmLimits = { quietMs: 25, maxMs: 1_000 };

/** Tells work that nobody waits for when it holds up nobody: once what somebody waits for has been done. */
export class Calm {
  readonly #clock: Clock;
  readonly #limits: CalmLimits;
  #underWay = 0;
  #lastEnd = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, limits: CalmLimits = LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Runs `work` that somebody waits for. */
  async disturb<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await work();
    } finally {
      this.#underWay--;
      this.#lastEnd = this.#clock.now();
    }
  }

  /** Resolves when it is calm, when the longest wait is over, or when `hurry` is aborted. Never rejects. */
  async reached(hurry: AbortSignal): Promise<void> {
    const { quietMs, maxMs } = this.#limits;
    const end = this.#clock.now() + maxMs;
    for (;;) {
      const now = this.#clock.now();
      const missing = this.#underWay > 0 ? quietMs : this.#lastEnd + quietMs - now;
      if (hurry.aborted || now >= end || missing <= 0) return;
      await this.#clock.sleep(Math.min(missing, end - now), hurry).catch(() => undefined);
    }
  }
}
