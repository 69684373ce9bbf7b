import type { Clock } from '../lib/clock.ts';

/** From the start to the first time, in milliseconds: what is only used at a start has been used. */
const FIRST_MS = 3_000;
/** From then on, in milliseconds. */
const EVERY_MS = 60_000;

/**
 * Keeps the agent's memory to what it needs, until the signal: a start, and later a list or a table anew, take several
 * times as much for a moment, of which the C library gives nothing back by itself.
 */
export async function giveBackMemory(
  giveBack: () => Promise<void>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  for (let waitMs = FIRST_MS; !signal.aborted; waitMs = EVERY_MS) {
    await clock.sleep(waitMs, signal).catch(() => undefined);
    if (!signal.aborted) await giveBack();
  }
}
