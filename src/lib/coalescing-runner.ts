import { Backoff, type BackoffLimits } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';

/** What a coalescing runner needs beside its work. */
export interface RunnerOptions {
  readonly clock?: Clock;
  /** Called with what `run` threw; the run is repeated after a back-off. */
  readonly onError: (error: unknown) => void;
  readonly retry?: BackoffLimits;
}

/**
 * Runs one piece of work whenever it was marked dirty, never twice at once. Any number of marks during a run make
 * one more run; a run that throws is repeated after a bounded back-off.
 */
export class CoalescingRunner {
  readonly #run: () => void | Promise<void>;
  readonly #options: RunnerOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  #dirty = false;
  #running: Promise<void> | undefined;

  constructor(run: () => void | Promise<void>, options: RunnerOptions) {
    this.#run = run;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff(options.retry ?? { initialMs: 20, maxMs: 5_000 });
  }

  /** Asks for a run after everything that is known now. */
  markDirty(): void {
    this.#dirty = true;
    if (this.#running !== undefined || this.#abort.signal.aborted) return;
    this.#running = this.#loop();
  }

  /** Whether nothing is dirty and nothing runs. */
  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when nothing is dirty and nothing runs. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Ends after the run that is under way; later marks do nothing. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.settled();
  }

  async #loop(): Promise<void> {
    // What is marked dirty in the same turn of the event loop belongs to one run.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#dirty && !this.#abort.signal.aborted) {
      this.#dirty = false;
      try {
        await this.#run();
        this.#backoff.reset();
      } catch (error) {
        this.#dirty = true;
        this.#options.onError(error);
        await this.#clock.sleep(this.#backoff.next(), this.#abort.signal).catch(() => undefined);
      }
    }
    // In the same turn as the last look at the mark: one that came in between would wake nobody.
    this.#running = undefined;
  }
}
