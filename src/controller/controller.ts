import type { Registry } from '../lib/prometheus.ts';
import { isConflict, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { CoalescingRunner } from '../lib/coalescing-runner.ts';
import type { Log } from '../lib/log.ts';
import type { JsonObject } from '../objects/field.ts';
import { NETWORKS } from '../objects/resources.ts';
import { applyActions, describeAction } from './apply.ts';
import { assign } from './assign.ts';
import { ControllerMetrics } from './metrics.ts';
import { Observer } from './observer.ts';
import { removeOldTraces } from './old-traces.ts';
import { removeOrphanReports } from './orphan-reports.ts';
import type { Warning } from './state.ts';
import { writePolicyConditions } from './write-policy-conditions.ts';

/** How long a failed round waits before it is repeated, in milliseconds: caught up 2 s after the API server's return. */
const RETRY = { initialMs: 10, maxMs: 500 };

/** How often reports of machines that are gone are looked for, in milliseconds. */
const SWEEP_EVERY_MS = 600_000;

/** How often questions to hosts that nobody asks any more are looked for, in milliseconds. */
const SWEEP_TRACES_EVERY_MS = 60_000;

/** What a controller needs. */
export interface ControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the metrics are put. */
  readonly registry: Registry;
  /** The Network that a leader makes when it finds none in the cluster. */
  readonly firstNetwork?: JsonObject | undefined;
  /**
   * Leader election: calls `work` whenever this process leads, with a signal that is aborted when it does no longer;
   * resolves when `signal` is aborted.
   */
  readonly lead: (work: (leading: AbortSignal) => Promise<void>, signal: AbortSignal) => Promise<void>;
  /** Tells people of something, as an Event of type Warning. */
  readonly warn: (warning: Warning) => Promise<void>;
}

/**
 * The IPAM service and the route controller: keeps a Host for each Node and a Tenant for each namespace with pods, and
 * their ids. Observe, assign (pure), apply; events only mark dirty. One process leads, the others watch.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #observer: Observer;
  readonly #metrics: ControllerMetrics;
  /** The warnings that people have been told of and that still hold. */
  #told = new Set<string>();
  #runner: CoalescingRunner | undefined;
  /** Apart from ids, which no trouble with the status of policies may hold up. */
  #conditions: CoalescingRunner | undefined;

  constructor(options: ControllerOptions) {
    const { client, clock, log, registry } = options;
    this.#options = options;
    this.#metrics = new ControllerMetrics(registry, () => this.#observer.state);
    this.#observer = new Observer({
      client,
      clock,
      log,
      metrics: this.#metrics.reflector,
      onChange: () => {
        this.#runner?.markDirty();
        this.#conditions?.markDirty();
      },
    });
  }

  /** Why the controller is of no use yet; undefined when it is. */
  notReady(): string | undefined {
    return this.#observer.synced ? undefined : 'the cluster has not been read yet';
  }

  /** The resource version up to which all that had to be done is done; undefined while something is under way. */
  get actedOn(): number | undefined {
    return this.#runner?.idle === true && this.#conditions?.idle === true ? this.#observer.version : undefined;
  }

  /** Runs until `signal` is aborted and the write that is under way has ended; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    const watching = this.#observer.run(signal);
    await this.#options.lead((leading) => this.#act(leading), signal);
    await watching;
  }

  /** Acts as the leader until `leading` is aborted. */
  async #act(leading: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    this.#metrics.leading.set(1);
    const runner = new CoalescingRunner(() => this.#round(leading), {
      clock,
      retry: RETRY,
      onError: (error) => this.#failed(error, leading),
    });
    const conditions = new CoalescingRunner(() => this.#tellPolicies(leading), {
      clock,
      retry: { initialMs: 50, maxMs: 30_000 },
      onError: (error) => {
        if (leading.aborted || error instanceof OutdatedError) return;
        this.#options.log.warn({ err: error }, 'could not tell policies that they fail closed; tries again');
      },
    });
    try {
      await this.#observer.whenSynced(leading);
      await this.#makeNetwork(leading);
      this.#runner = runner;
      this.#conditions = conditions;
      runner.markDirty();
      conditions.markDirty();
      await Promise.all([this.#sweep(leading), this.#sweepTraces(leading)]);
    } catch (error) {
      if (!leading.aborted) throw error;
    } finally {
      this.#runner = undefined;
      this.#conditions = undefined;
      await Promise.all([runner.stop(), conditions.stop()]);
      this.#metrics.leading.set(0);
    }
  }

  /** Makes the first Network of a cluster; a leader that can't goes on trying, since without one it can do nothing. */
  async #makeNetwork(leading: AbortSignal): Promise<void> {
    const { client, clock, log, firstNetwork } = this.#options;
    if (firstNetwork === undefined || this.#observer.state.network !== undefined) return;
    for (;;) {
      leading.throwIfAborted();
      try {
        await client.create(NETWORKS, firstNetwork);
        log.info({}, 'made the Network of the cluster, which had none');
        return;
      } catch (error) {
        if (isConflict(error)) return;
        log.error({ err: error }, 'could not make the Network of the cluster; tries again');
        await clock.sleep(RETRY.maxMs, leading);
      }
    }
  }

  /** Looks from time to time for what no event tells: machines that are silent for good. Ends with `leading`. */
  async #sweep(leading: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options;
    while (!leading.aborted) {
      try {
        const removed = await removeOrphanReports(client, clock, this.#observer.state);
        for (const name of removed) log.info({ name }, 'removed the report of a machine that is gone');
      } catch (error) {
        if (!leading.aborted) log.warn({ err: error }, 'could not look for reports of machines that are gone');
      }
      await clock.sleep(SWEEP_EVERY_MS, leading).catch(() => undefined);
    }
  }

  /** No event tells that nobody waits for an answer any more. Ends with `leading`. */
  async #sweepTraces(leading: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options;
    while (!leading.aborted) {
      try {
        const removed = await removeOldTraces(client, clock);
        if (removed > 0) log.info({ removed }, 'removed questions to hosts that nobody asks any more');
      } catch (error) {
        if (!leading.aborted) log.warn({ err: error }, 'could not look for questions that nobody asks any more');
      }
      await clock.sleep(SWEEP_TRACES_EVERY_MS, leading).catch(() => undefined);
    }
  }

  /** Tells on the objects themselves that policies are not enforced as they stand, or are again. */
  async #tellPolicies(leading: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const wanted = this.#observer.policyConditions;
    const { written, overtaken } = await writePolicyConditions(client, clock, wanted, leading);
    this.#metrics.toldPolicies(written);
    if (overtaken.length > 0) throw new OutdatedError(overtaken.map((name) => `tell ClusterNetworkPolicy ${name}`));
  }

  async #round(leading: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options;
    const done = this.#metrics.roundSeconds.startTimer();
    const { actions, warnings } = assign(this.#observer.state);
    const applied = await applyActions(client, clock, actions, leading);
    this.#metrics.applied(applied);
    for (const action of applied.done) log.info({ action: action.kind }, describeAction(action));
    await this.#warn(warnings);
    done();
    if (applied.outdated.length > 0) throw new OutdatedError(applied.outdated.map(describeAction));
  }

  /** Tells each warning once, and again when it held no longer in between. */
  async #warn(warnings: readonly Warning[]): Promise<void> {
    const still = new Set<string>();
    for (const warning of warnings) {
      const key = JSON.stringify(warning);
      if (!this.#told.has(key)) {
        const { about, reason, message } = warning;
        this.#options.log.warn({ kind: about.kind, name: about.name, reason }, message);
        await this.#options.warn(warning);
      }
      still.add(key);
      this.#told.add(key);
    }
    this.#told = still;
  }

  #failed(error: unknown, leading: AbortSignal): void {
    if (leading.aborted) return;
    const { log } = this.#options;
    if (error instanceof OutdatedError) {
      log.debug({ actions: error.actions }, 'the cluster changed meanwhile; looking again');
      return;
    }
    this.#metrics.errors.inc();
    log.error({ err: error }, 'could not do what has to be done; trying again');
  }
}

/** Some writes rested on what is no longer so: the copies of the API server's objects are behind, and will catch up. */
class OutdatedError extends Error {
  readonly actions: readonly string[];

  constructor(actions: readonly string[]) {
    super(`overtaken: ${actions.join(', ')}`);
    this.name = 'OutdatedError';
    this.actions = actions;
  }
}
