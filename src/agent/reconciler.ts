import { Backoff } from '../lib/backoff.ts';
import { CoalescingRunner } from '../lib/coalescing-runner.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { commandsText, isOfElements } from '../nft/command.ts';
import { delta } from '../nft/delta.ts';
import { type Nft, NftError } from '../nft/nft.ts';
import type { Ruleset } from '../nft/ruleset.ts';
import { replaceText } from '../nft/text.ts';
import { type Desired, Planner } from '../plan/desired.ts';
import type { IdentityIndex } from '../plan/identity.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { type Policy, policyName } from '../policy/model.ts';
import type { AgentMetrics } from './metrics.ts';
import { RefusedPolicies } from './refused-policies.ts';
import { type Turned, turnedVerdicts } from './verdict-change.ts';

/** What a reconciler stands on. */
export interface ReconcilerOptions {
  /** What is known now; undefined while it is not enough to decide verdicts: then the kernel stays as it is. */
  readonly snapshot: () => Snapshot | undefined;
  readonly nft: Nft;
  /** Brings the routes to what is desired; returns what was refused. */
  readonly routes: (routes: Desired['routes']) => readonly unknown[];
  /**
   * Called when verdicts of open connections of `turned` may have turned, with the rules in force already. `patient`:
   * connections with pods of which more is about to be known may be left; whether any were, which are to be looked at again.
   */
  readonly revoke: (at: {
    readonly snapshot: Snapshot;
    readonly desired: Desired;
    readonly identities: IdentityIndex;
    readonly turned: Turned;
    readonly patient: boolean;
  }) => boolean;
  /** Called when our table, which others had changed, is as it should be again. */
  readonly onRepaired: (by: string) => void;
  /** Called after each run with what it was about. */
  readonly onApplied: (snapshot: Snapshot, desired: Desired) => void;
  readonly metrics: AgentMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two attempts at routes that the kernel refuses, in milliseconds; what may help is heard of at once anyway. */
const ROUTES_RETRY = { initialMs: 50, maxMs: 1_000 };

/**
 * Putting a table of more than 10,000 elements is by itself more than the kernel can tell of (measured on Linux 6.18):
 * for so long, in milliseconds, after it was put for that reason, it is not put again for it.
 */
const LOSS_MS = 2_000;

/**
 * How long connections with pods of which more is about to be known are left before they are cut, in milliseconds: a
 * policy that names the same peers by other labels than before closes for as long as it takes to list them.
 */
const PATIENCE_MS = 300;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Observe, plan, apply: one run takes a snapshot, plans it and changes what differs, however many events led to it.
 * The first run replaces our table whole in one transaction, later ones are deltas.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #runner: CoalescingRunner;
  #waiters: Waiter[] = [];
  /** Whose connections are still to be looked through for a change that is in force. */
  #due: Turned = new Set();
  #inForce: { readonly ruleset: Ruleset; readonly snapshot: Snapshot } | undefined;
  /** Who has changed our table behind our back, until it is put back; '' is anybody. */
  #changedBy: string | undefined;
  /** When the table was put back last because changes may not have been heard. */
  #putForLossAt = -Infinity;
  readonly #planner = new Planner();
  readonly #refused = new RefusedPolicies();
  readonly #routesBackoff = new Backoff(ROUTES_RETRY);
  /** What the kernel said of routes that it refused last, '' when it took all. */
  #routesRefused = '';
  #cancelRetry: () => void = () => undefined;
  /** Since when connections are left that may be forbidden. */
  #undecidedSince: number | undefined;
  #cancelLook: () => void = () => undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#runner = new CoalescingRunner(() => this.#run(), {
      clock: options.clock,
      retry: { initialMs: 50, maxMs: 1_000 },
      onError: (error) =>
        options.log.error({ err: error }, 'could not bring the kernel to what it should be; tries again'),
    });
  }

  /** Whether a ruleset of this agent is in force. */
  get enforcing(): boolean {
    return this.#inForce !== undefined;
  }

  /** Whether all that was marked dirty is in the kernel. */
  get idle(): boolean {
    return this.#runner.idle && this.#routesRefused === '';
  }

  /** Whose addresses are, as `snapshot` has it, the last that was applied; good until the next run. */
  identities(snapshot: Snapshot): IdentityIndex {
    return this.#planner.identities(snapshot);
  }

  /** Something changed. */
  markDirty(): void {
    this.#runner.markDirty();
  }

  /**
   * Others have changed our table, or may have: it is put back whole, as it was left, before anything else.
   *
   * @param by the name of the process; undefined when only that it may have been changed is known.
   */
  tableChanged(by: string | undefined): void {
    const sinceLoss = this.#options.clock.now() - this.#putForLossAt;
    if (by === undefined && sinceLoss >= 0 && sinceLoss < LOSS_MS) return;
    this.#changedBy ??= by ?? '';
    this.#runner.markDirty();
  }

  /** Resolves when the kernel has committed all that is known now; rejects when it refused. */
  commit(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ resolve, reject });
    this.#runner.markDirty();
    return promise;
  }

  /** Resolves when nothing is left to do. */
  settled(): Promise<void> {
    return this.#runner.settled();
  }

  /** Ends after the run that is under way. The kernel keeps what it has. */
  async stop(): Promise<void> {
    await this.#runner.stop();
    this.#cancelRetry();
    this.#cancelLook();
    for (const { reject } of this.#waiters.splice(0)) reject(new Error('the agent stops'));
  }

  #run(): void {
    const waiters = this.#waiters.splice(0);
    try {
      this.#putBack();
      const snapshot = this.#options.snapshot();
      if (snapshot === undefined) {
        const why = new Error('not enough of the cluster is known to decide verdicts; the kernel stays as it is');
        for (const { reject } of waiters) reject(why);
        return;
      }
      const refused = this.#applyWhatIsTaken(snapshot);
      for (const { resolve } of waiters) resolve();
      this.#retryRoutes(refused);
    } catch (error) {
      for (const { reject } of waiters) reject(error);
      throw error;
    }
  }

  /** Not by planning anew, which takes longer and may not be possible while little is known. */
  #putBack(): void {
    const by = this.#changedBy;
    if (by === undefined || this.#inForce === undefined) return;
    this.#replace(this.#inForce.ruleset);
    if (by === '') this.#putForLossAt = this.#options.clock.now();
    // What was let in meanwhile is not to stay.
    this.#due = 'all';
    if (by === '') return;
    this.#options.metrics.repairs.inc({ what: 'table' });
    this.#options.onRepaired(by);
  }

  /** Routes that are refused hold up nothing else: they are tried again on their own, and said once. */
  #retryRoutes(refused: readonly unknown[]): void {
    const { clock, log } = this.#options;
    this.#cancelRetry();
    const said = [...new Set(refused.map(String))].join('; ');
    if (said === '') this.#routesBackoff.reset();
    else this.#cancelRetry = clock.after(this.#routesBackoff.next(), () => this.#runner.markDirty());
    if (said !== '' && said !== this.#routesRefused) {
      log.error({ err: refused[0], count: refused.length }, 'could not set routes; tries again');
    }
    if (said === '' && this.#routesRefused !== '') log.info({}, 'routes that were refused are set');
    this.#routesRefused = said;
  }

  /** A policy that the kernel refuses fails closed for its own pods; all others are in force (R14). */
  #applyWhatIsTaken(observed: Snapshot): readonly unknown[] {
    const closed = (policies: readonly Policy[]): Snapshot => ({ ...observed, policies });
    const snapshot = closed(this.#refused.without(observed.policies));
    try {
      return this.#apply(snapshot);
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      const known = new Set(this.#inForce?.snapshot.policies);
      const fresh = snapshot.policies.filter((policy) => !known.has(policy));
      const attempt = (policies: readonly Policy[]): void =>
        this.#options.nft.check(replaceText(this.#planner.plan(closed(policies)).ruleset));
      let found = this.#refused.find(snapshot.policies, fresh, attempt);
      // What has changed for a policy may also be who its peers are.
      if (found.length === 0) found = this.#refused.find(snapshot.policies, snapshot.policies, attempt);
      if (found.length === 0) throw error;
      for (const { policy, said } of found) {
        this.#options.log.error(
          { policy: policyName(policy), said },
          'the kernel refuses a policy, which fails closed',
        );
      }
      return this.#apply(closed(this.#refused.without(observed.policies)));
    }
  }

  #apply(snapshot: Snapshot): readonly unknown[] {
    const { metrics, routes, onApplied } = this.#options;
    const planned = metrics.planSeconds.startTimer();
    const desired = this.#planner.plan(snapshot);
    planned();
    const before = this.#inForce;
    // Routes first: the spoof check lets in another host's packets only from where its route leads.
    const errors = routes(desired.routes);
    this.#enforce(desired.ruleset);
    this.#inForce = { ruleset: desired.ruleset, snapshot };
    // At the start too: what changed while no agent ran may have turned verdicts.
    const turned = before === undefined ? 'all' : this.#turned(before, desired.ruleset, snapshot);
    this.#due = this.#due === 'all' || turned === 'all' ? 'all' : this.#due.union(turned);
    if (this.#due === 'all' || this.#due.size > 0) this.#revoke(snapshot, desired, this.#due);
    onApplied(snapshot, desired);
    return errors;
  }

  #revoke(snapshot: Snapshot, desired: Desired, turned: Turned): void {
    const { clock, revoke } = this.#options;
    this.#cancelLook();
    this.#undecidedSince ??= clock.now();
    const leftMs = this.#undecidedSince + PATIENCE_MS - clock.now();
    const identities = this.#planner.identities(snapshot);
    const left = revoke({ snapshot, desired, identities, turned, patient: leftMs > 0 });
    if (left) this.#cancelLook = clock.after(Math.max(leftMs, 0), () => this.#runner.markDirty());
    else {
      this.#undecidedSince = undefined;
      this.#due = new Set();
    }
  }

  #enforce(ruleset: Ruleset): void {
    const { metrics } = this.#options;
    const before = this.#inForce?.ruleset;
    const committed = metrics.nftSeconds.startTimer();
    if (before !== undefined) {
      try {
        const kind = this.#change(before, ruleset);
        if (kind === undefined) return;
        metrics.nftTransactions.inc({ kind });
        committed({ kind });
        return;
      } catch (error) {
        // The table is not as we left it, or libnftables refuses the step: put it whole.
        metrics.nftErrors.inc();
        this.#options.log.warn({ err: error }, 'the kernel refused a change of our table; replaces it whole');
      }
    }
    this.#replace(ruleset);
    committed({ kind: 'whole' });
  }

  #replace(ruleset: Ruleset): void {
    const { nft, metrics } = this.#options;
    try {
      nft.run(replaceText(ruleset));
      metrics.nftTransactions.inc({ kind: 'whole' });
      this.#changedBy = undefined;
    } catch (error) {
      metrics.nftErrors.inc();
      throw error;
    }
  }

  /** Makes `after` of `before` in the kernel; by which way, undefined when they do not differ. */
  #change(before: Ruleset, after: Ruleset): 'elements' | 'delta' | undefined {
    const { nft } = this.#options;
    const commands = delta(before, after);
    if (commands?.length === 0) return undefined;
    if (commands !== undefined && nft.change(commands)) return commands.every(isOfElements) ? 'elements' : 'delta';
    nft.run(commands === undefined ? replaceText(after) : commandsText(commands));
    return 'delta';
  }

  #turned(before: { ruleset: Ruleset; snapshot: Snapshot }, ruleset: Ruleset, snapshot: Snapshot): Turned {
    // Asked for only where something differs.
    const tenure = lazily(() => {
      const [held, holds] = [new Set(addressesOf(before.snapshot)), new Set(addressesOf(snapshot))];
      return { stayed: held.intersection(holds), turnedOver: held.symmetricDifference(holds) };
    });
    return turnedVerdicts(before.ruleset, ruleset, tenure);
  }
}

/** Those of all pods here. */
function addressesOf({ leases }: Snapshot): string[] {
  return leases.flatMap(({ addresses }) => addresses);
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
