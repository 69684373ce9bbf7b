import { systemClock } from './clock.ts';

/** How long `waitFor` waits and how often it looks, in milliseconds. */
export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until `condition` gives something other than undefined, null or false, and returns that.
 *
 * @param what what is waited for, for the error message.
 * @throws Error after `timeoutMs` (10,000), with the last error of `condition` as its cause.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  { timeoutMs = 10_000, everyMs = 10, signal }: WaitOptions = {},
): Promise<T> {
  const end = systemClock.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (systemClock.now() >= end) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause });
    await systemClock.sleep(everyMs, signal);
  }
}
