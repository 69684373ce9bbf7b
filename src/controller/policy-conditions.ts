import { isJsonObject, type JsonObject } from '../objects/field.ts';
import type { HostReport, Unenforced } from '../objects/host-report.ts';
import type { Parsed } from '../objects/meta.ts';
import { ok } from '../lib/result.ts';
import { CLUSTER_NETWORK_POLICIES } from '../objects/resources.ts';
import type { Policy } from '../policy/model.ts';
import { POLICY_KINDS } from '../policy/policy-kinds.ts';

/** The type of our condition in the status of a policy; those of others are left alone. */
export const ENFORCED = 'romana.io/Enforced';

/** What a condition of a policy says. */
export interface EnforcedCondition {
  readonly status: 'True' | 'False';
  readonly reason: 'Enforced' | 'FailsClosed';
  readonly message: string;
  readonly observedGeneration: number;
}

/** A cluster policy with what its status says of us. */
export interface ObservedPolicy extends Policy {
  /** Undefined where it says nothing. */
  readonly stored: EnforcedCondition | undefined;
}

/** A condition that a policy has to get. */
export interface WantedCondition {
  readonly name: string;
  readonly uid: string;
  readonly condition: EnforcedCondition;
}

/** So many hosts are named. */
const MAX_HOSTS = 3;
/** A condition may have 32768 characters (meta/v1); nobody reads so much. */
const MAX_MESSAGE_CHARS = 1_024;

const CLOSED = 'what cannot be enforced fails closed: it allows nothing, and denies what it might deny';

/** Parses a ClusterNetworkPolicy with our condition in it. */
export function parseObservedPolicy(json: unknown): Parsed<ObservedPolicy> {
  const kind = POLICY_KINDS.find(({ resource }) => resource === CLUSTER_NETWORK_POLICIES);
  if (kind === undefined) throw new TypeError('there is no parser of ClusterNetworkPolicies');
  const parsed = kind.parse(json);
  return parsed.ok ? ok({ ...parsed.value, stored: storedIn(json) }) : parsed;
}

/** The conditions in the status of an object, as they are. */
export function conditionsIn(json: unknown): readonly JsonObject[] {
  const status = isJsonObject(json) ? json['status'] : undefined;
  const conditions = isJsonObject(status) ? status['conditions'] : undefined;
  return Array.isArray(conditions) ? conditions.filter(isJsonObject) : [];
}

/** What the status of a policy says of us. */
export function storedIn(json: unknown): EnforcedCondition | undefined {
  const found = conditionsIn(json).find(({ type }) => type === ENFORCED);
  if (found === undefined) return undefined;
  const { status, reason, message, observedGeneration = 0 } = found;
  // Whatever stands there counts as ours: what differs from what should is written.
  return { status, reason, message, observedGeneration } as EnforcedCondition;
}

/**
 * The conditions that are to be written: of policies of which something fails closed, everywhere since nobody can enforce
 * it, or on hosts whose kernels have refused it; and that it is over, on those that said so before. A policy that never
 * failed costs no write, and no condition is no complaint.
 *
 * @param reports of hosts that there are, by name.
 */
export function wantedConditions(
  policies: Iterable<ObservedPolicy>,
  reports: ReadonlyMap<string, Pick<HostReport, 'unenforced'>>,
): readonly WantedCondition[] {
  const told = byUid(reports);
  const wanted: WantedCondition[] = [];
  for (const policy of policies) {
    const condition = conditionOf(policy, told.get(policy.ref.uid) ?? []);
    if (condition === undefined || isSame(condition, policy.stored)) continue;
    wanted.push({ name: policy.ref.name, uid: policy.ref.uid, condition });
  }
  return wanted;
}

interface Told extends Unenforced {
  readonly host: string;
}

function byUid(reports: ReadonlyMap<string, Pick<HostReport, 'unenforced'>>): ReadonlyMap<string, readonly Told[]> {
  const told = new Map<string, Told[]>();
  for (const [host, { unenforced }] of [...reports].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (const entry of unenforced) {
      const list = told.get(entry.uid);
      if (list === undefined) told.set(entry.uid, [{ ...entry, host }]);
      else list.push({ ...entry, host });
    }
  }
  return told;
}

/** Undefined: what stands there stays. */
function conditionOf({ ref, problems, stored }: ObservedPolicy, told: readonly Told[]): EnforcedCondition | undefined {
  const observedGeneration = ref.generation ?? 0;
  const [problem] = problems;
  if (problem !== undefined) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    return failing(`${problem.field} ${problem.message}${more}; ${CLOSED}`, observedGeneration);
  }
  const now = told.filter(({ generation = observedGeneration }) => generation === observedGeneration);
  const [first] = now;
  if (first !== undefined) return failing(`${hostsText(now)}: ${first.message}; ${CLOSED}`, observedGeneration);
  // Hosts that speak of what it was have not seen yet what it is.
  if (told.length > 0 || stored === undefined) return undefined;
  const message = 'no host tells that anything of it fails closed';
  return { status: 'True', reason: 'Enforced', message, observedGeneration };
}

function failing(text: string, observedGeneration: number): EnforcedCondition {
  const message = text.length <= MAX_MESSAGE_CHARS ? text : `${text.slice(0, MAX_MESSAGE_CHARS - 3)}...`;
  return { status: 'False', reason: 'FailsClosed', message, observedGeneration };
}

/** Without their number, which changes with each pod that comes to another host. */
function hostsText(told: readonly Told[]): string {
  const names = told.slice(0, MAX_HOSTS).map(({ host }) => host);
  return `on ${told.length === 1 ? 'host' : 'hosts'} ${names.join(', ')}${told.length > MAX_HOSTS ? ' and others' : ''}`;
}

/** Whether they say the same. */
export function isSame(a: EnforcedCondition, b: EnforcedCondition | undefined): boolean {
  return (
    a.status === b?.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration
  );
}
