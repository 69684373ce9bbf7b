import type { RestartPolicy } from './pod-spec.ts';

/** Waits before restarts, in milliseconds, as the kubelet has them. */
export const RESTART_LIMITS = { initialMs: 10_000, maxMs: 300_000, resetMs: 600_000 } as const;

/** Whether a container that ended with `code` is started again. */
export function restarts(policy: RestartPolicy, code: number): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && code !== 0);
}

/**
 * The waits of CrashLoopBackOff: none before the first restart, then 10 s, doubling to 5 minutes; from the start
 * again after a run of 10 minutes.
 */
export class RestartBackoff {
  #nextMs = 0;

  /** How long to wait before the restart that follows a run of `ranMs`. */
  next(ranMs: number): number {
    if (ranMs >= RESTART_LIMITS.resetMs) this.#nextMs = 0;
    const wait = this.#nextMs;
    this.#nextMs = wait === 0 ? RESTART_LIMITS.initialMs : Math.min(wait * 2, RESTART_LIMITS.maxMs);
    return wait;
  }
}
