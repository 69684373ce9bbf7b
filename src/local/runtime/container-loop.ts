import { Backoff } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Container } from './pod-driver.ts';
import type { ExitRecord } from './pod-record.ts';
import type { ContainerSpec, RestartPolicy } from './pod-spec.ts';
import type { ContainerObservation, Terminated } from './pod-status.ts';
import { raceAbort } from './race-abort.ts';
import { RESTART_LIMITS, RestartBackoff, restarts } from './restart-policy.ts';

/** A start that failed for a reason that a status names (ErrImagePull, RunContainerError). */
export class StartError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
    this.reason = reason;
  }
}

/** What one container's loop needs. */
export interface ContainerLoopOptions {
  readonly container: ContainerSpec;
  readonly policy: RestartPolicy;
  readonly clock: Clock;
  /** Starts it. Throws `StartError`. */
  readonly start: (restartCount: number) => Promise<Container>;
  /** It runs already, or ended while nobody looked. */
  readonly adopted?: Container | undefined;
  readonly restartCount: number;
  /** How it ended before. */
  readonly last?: Terminated | undefined;
  /** Told whatever changes. */
  readonly observe: (observation: ContainerObservation) => void;
  /** Told of every end, before a restart. */
  readonly ended: (container: Container, exit: ExitRecord) => void;
  readonly event: (type: 'Normal' | 'Warning', reason: string, message: string) => void;
  /** Aborted: the container is asked to end. */
  readonly stop: AbortSignal;
  /** Aborted: it is ended. */
  readonly kill: AbortSignal;
}

/** Waiting states whose reason says "not now" after one that says why. */
const BACKOFF_REASONS: Readonly<Record<string, string>> = { ErrImagePull: 'ImagePullBackOff' };

/**
 * Keeps one container running as its policy says, until it ended for good or `stop` is aborted and it ended.
 *
 * @returns its last exit status; undefined when it was stopped.
 */
export async function runContainerLoop(options: ContainerLoopOptions): Promise<number | undefined> {
  const { policy, clock, stop, observe, event, container } = options;
  const crash = new RestartBackoff();
  let { adopted, restartCount, last } = options;
  for (;;) {
    const running = adopted ?? (await startUntil(options, restartCount, last));
    adopted = undefined;
    if (running === undefined) return undefined;
    const { id, startedAt } = running.record;
    ({ restartCount } = running.record);
    const seen = { id, restartCount, ...(last === undefined ? {} : { last }) };
    observe({ ...seen, state: { kind: 'running', startedAt } });
    const exit = await untilExit(running, options);
    options.ended(running, exit);
    const state: Terminated = { kind: 'terminated', exitCode: exit.code, startedAt, finishedAt: exit.finishedAt };
    observe({ ...seen, state });
    if (stop.aborted) return undefined;
    if (!restarts(policy, exit.code)) return exit.code;
    last = state;
    const wait = crash.next(Date.parse(exit.finishedAt) - Date.parse(startedAt));
    restartCount += 1;
    if (wait === 0) continue;
    const message = `back-off ${wait / 1000}s restarting failed container=${container.name}`;
    observe({
      id,
      restartCount: restartCount - 1,
      last,
      state: { kind: 'waiting', reason: 'CrashLoopBackOff', message },
    });
    event('Warning', 'BackOff', `Back-off restarting failed container ${container.name}`);
    if (!(await sleep(clock, wait, stop))) return undefined;
  }
}

/** Starts the container, again and again until it works; undefined when stopped before. */
async function startUntil(
  options: ContainerLoopOptions,
  restartCount: number,
  last: Terminated | undefined,
): Promise<Container | undefined> {
  const { clock, stop, observe, event, start } = options;
  const backoff = new Backoff({ initialMs: RESTART_LIMITS.initialMs, maxMs: RESTART_LIMITS.maxMs });
  while (!stop.aborted) {
    try {
      return await start(restartCount);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const reason = error instanceof StartError ? error.reason : 'RunContainerError';
      event('Warning', 'Failed', message);
      const seen = { id: '', restartCount, ...(last === undefined ? {} : { last }) };
      observe({ ...seen, state: { kind: 'waiting', reason, message } });
      const wait = backoff.next();
      const later = BACKOFF_REASONS[reason];
      if (later !== undefined) {
        // The reason itself is shown first, as long as a kubelet's next look at the pod would take.
        if (!(await sleep(clock, wait / 5, stop))) return undefined;
        event('Normal', 'BackOff', `Back-off pulling image "${options.container.image}"`);
        observe({ ...seen, state: { kind: 'waiting', reason: later, message: `Back-off pulling: ${message}` } });
      }
      if (!(await sleep(clock, wait, stop))) return undefined;
    }
  }
  return undefined;
}

/** Waits for the container's end, which is asked for at `stop` and enforced at `kill`. */
async function untilExit(running: Container, options: ContainerLoopOptions): Promise<ExitRecord> {
  const exit = await raceAbort(running.exited, options.stop);
  if (exit !== undefined) return exit;
  options.event('Normal', 'Killing', `Stopping container ${options.container.name}`);
  running.signal('SIGTERM');
  const ended = await raceAbort(running.exited, options.kill);
  if (ended !== undefined) return ended;
  running.signal('SIGKILL');
  return running.exited;
}

/** @returns false when aborted. */
async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
    return true;
  } catch {
    return false;
  }
}
