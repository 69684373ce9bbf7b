import { abortable } from '../lib/abortable.ts';
import { Backoff } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';

/** What a pulse needs. */
export interface PulseOptions {
  /**
   * Asks the server for next to nothing, on a connection that is kept for that, or on a `fresh` one. Resolves with any
   * answer, rejects when there can be none; after the signal the connection is not used again.
   */
  readonly ask: (fresh: boolean, signal: AbortSignal) => Promise<void>;
  /** The server answers again after it was silent: connections that were made before may be silent for ever. */
  readonly onReturn: () => void;
  /** Between two questions while all is well, in milliseconds; up to a quarter more. */
  readonly everyMs: number;
  /** Without an answer for so long the server counts as silent, in milliseconds. */
  readonly answerMs: number;
  readonly clock: Clock;
  /** A number in [0, 1), for the jitter. */
  readonly random?: () => number;
}

/** From one question to the next while the server is away, in milliseconds. */
const AWAY = { initialMs: 400, maxMs: 700 };

/** So many returns in a row are told at once; more, as of a server that is slow again and again, one in this time. */
export const RETURNS_AT_ONCE = 10;
export const RETURN_EVERY_MS = 30_000;

/**
 * Notices that a server was silent, whatever became of its connections: a watch has nothing to send, so that neither
 * TCP nor HTTP ever finds out that nobody is there any more, and what was lost on the way comes only after TCP's own
 * back-off. While exchanges are under way, one question is asked again and again on a connection of its own. When it
 * has had no answer and then has one, on a new connection, whoever waits on an older one had better begin anew.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #backoff: Backoff;
  #open = 0;
  #asking = 0;
  #cancel: (() => void) | undefined;
  #silent = false;
  #returnsLeft = RETURNS_AT_ONCE;
  #refilledAt: number;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#backoff = new Backoff(AWAY, options.random);
    this.#refilledAt = options.clock.now();
  }

  /** An exchange with the server begins; it has ended when what this gives is called, once. */
  follow(): () => void {
    this.#open += 1;
    if (this.#open === 1 && this.#asking === 0) this.#askAfter(this.#options.everyMs);
    return () => {
      this.#open -= 1;
      if (this.#open === 0) this.#rest();
    };
  }

  #rest(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#silent = false;
  }

  #askAfter(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#cancel = undefined;
      void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    const fresh = this.#silent;
    // What was asked before the return has no answer: the next question does not wait for the end of this one.
    if (fresh) this.#askAfter(this.#backoff.next());
    this.#asking += 1;
    const outcome = await this.#outcome(fresh);
    this.#asking -= 1;
    if (this.#open === 0) return this.#rest();
    if (outcome === 'answered') this.#answered(fresh);
    // Refused is no silence: who is refused knows.
    else if (outcome === 'late' && !fresh) this.#silent = true;
    if (this.#cancel === undefined) this.#askAfter(this.#backoff.next());
  }

  async #outcome(fresh: boolean): Promise<'answered' | 'late' | 'failed'> {
    const { clock, ask, answerMs } = this.#options;
    const late = new AbortController();
    const cancel = clock.after(answerMs, () => late.abort(new Error(`no answer within ${answerMs} ms`)));
    try {
      await abortable(ask(fresh, late.signal), late.signal);
      return 'answered';
    } catch {
      return late.signal.aborted ? 'late' : 'failed';
    } finally {
      cancel();
    }
  }

  #answered(fresh: boolean): void {
    const { everyMs, onReturn, random = Math.random } = this.#options;
    // One of several questions of a silence that is over.
    if (fresh && !this.#silent) return;
    this.#silent = false;
    this.#backoff.reset();
    this.#askAfter(everyMs * (1 + random() / 4));
    if (fresh && this.#mayTell()) onReturn();
  }

  #mayTell(): boolean {
    const now = this.#options.clock.now();
    const refill = Math.floor((now - this.#refilledAt) / RETURN_EVERY_MS);
    if (refill > 0) {
      this.#returnsLeft = Math.min(this.#returnsLeft + refill, RETURNS_AT_ONCE);
      this.#refilledAt = now;
    }
    if (this.#returnsLeft === 0) return false;
    this.#returnsLeft -= 1;
    return true;
  }
}
