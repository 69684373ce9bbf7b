import type { EventRecorder, Occurrence } from '../kube/events.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Condition, Unenforced } from '../objects/host-report.ts';
import { apiVersionOf, CLUSTER_NETWORK_POLICIES, DEMO_POLICIES, NETWORK_POLICIES } from '../objects/resources.ts';
import { type Policy, policyName } from '../policy/model.ts';
import type { AgentMetrics } from './metrics.ts';

/** Whom it is told that something of a policy fails closed. */
export interface UnenforcedOptions {
  readonly events: Pick<EventRecorder, 'record'>;
  readonly metrics: Pick<AgentMetrics, 'unenforcedPolicies'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** So many are told of one by one, each in so many characters at most. */
const MAX_TOLD = 64;
const MAX_MESSAGE_CHARS = 512;

/** So many are named in the condition; the rest is counted. */
const MAX_NAMED = 5;

const API_VERSIONS = {
  demo: apiVersionOf(DEMO_POLICIES),
  v1: apiVersionOf(NETWORK_POLICIES),
  admin: apiVersionOf(CLUSTER_NETWORK_POLICIES),
  baseline: apiVersionOf(CLUSTER_NETWORK_POLICIES),
} as const satisfies Record<Policy['source'], string>;

/**
 * Tells of policies that select pods of this host and of which something fails closed, because it is not known (R25),
 * beyond a bound or refused by the kernel (R14): an event on the policy, once for as long as it lasts; a metric; and a
 * condition of the host.
 */
export class UnenforcedPolicies {
  readonly #options: UnenforcedOptions;
  #told: ReadonlySet<string> = new Set();
  #condition: Condition | undefined;
  #list: readonly Unenforced[] = [];

  constructor(options: UnenforcedOptions) {
    this.#options = options;
  }

  /** `PoliciesEnforced`: `False` while something fails closed. */
  get condition(): Condition {
    this.#condition ??= this.#conditionOf([]);
    return this.#condition;
  }

  /** One by one, for the HostReport. */
  get list(): readonly Unenforced[] {
    return this.#list;
  }

  /** Takes all of them as they are now. */
  update(policies: readonly Policy[]): void {
    const { events, metrics, log } = this.#options;
    const told = new Set<string>();
    for (const policy of policies) {
      const message = messageOf(policy);
      const key = `${policy.source} ${policy.ref.uid} ${message}`;
      told.add(key);
      if (this.#told.has(key)) continue;
      log.warn({ policy: policyName(policy), message }, 'a policy is not enforced as it stands and fails closed');
      events.record(occurrence(policy, message));
    }
    this.#told = told;
    metrics.unenforcedPolicies.set(policies.length);
    this.#condition = this.#conditionOf(policies);
    this.#list = policies.toSorted(clusterFirst).slice(0, MAX_TOLD).map(unenforcedOf);
  }

  #conditionOf(policies: readonly Policy[]): Condition {
    const type = 'PoliciesEnforced';
    const status = policies.length === 0 ? 'True' : 'False';
    const lastTransitionTime =
      this.#condition?.status === status
        ? this.#condition.lastTransitionTime
        : new Date(this.#options.clock.now()).toISOString();
    if (policies.length === 0) {
      const message = 'all that policies say of pods of this host is enforced';
      return { type, status, reason: 'Enforced', message, lastTransitionTime };
    }
    const named = policies.slice(0, MAX_NAMED).map((policy) => `${policyName(policy)}: ${messageOf(policy)}`);
    const more = policies.length > MAX_NAMED ? `; and ${policies.length - MAX_NAMED} more` : '';
    return { type, status, reason: 'FailedClosed', message: `${named.join('; ')}${more}`, lastTransitionTime };
  }
}

/** Those whose objects can say it themselves, by the controller. */
function clusterFirst(a: Policy, b: Policy): number {
  return Number(b.ref.namespace === '') - Number(a.ref.namespace === '');
}

function unenforcedOf(policy: Policy): Unenforced {
  const message = messageOf(policy);
  return {
    apiVersion: API_VERSIONS[policy.source],
    ...policy.ref,
    message: message.length <= MAX_MESSAGE_CHARS ? message : `${message.slice(0, MAX_MESSAGE_CHARS - 3)}...`,
  };
}

function messageOf({ problems }: Policy): string {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return first === undefined ? '' : `${first.field} ${first.message}${more}`;
}

function occurrence({ ref, source }: Policy, message: string): Occurrence {
  const { kind, namespace, name, uid } = ref;
  return {
    object: { apiVersion: API_VERSIONS[source], kind, namespace, name, uid },
    type: 'Warning',
    reason: 'FailsClosed',
    message: `${message}; what can't be enforced fails closed: it allows nothing, and denies what it might deny`,
  };
}
