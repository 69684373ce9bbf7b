import { formatPlan } from '../addr/plan.ts';
import { isJsonObject } from '../objects/field.ts';
import { formatFieldErrors, type Meta, type Parsed } from '../objects/meta.ts';
import { type Held, type Network, parseNetwork } from '../objects/network.ts';
import { ok } from '../lib/result.ts';

/** What the one condition of a Network says. */
export interface PlanCondition {
  readonly status: 'True' | 'False';
  readonly reason: 'Accepted' | 'Invalid' | 'HeldByHosts' | 'NoHostIds';
  readonly message: string;
}

/** What the controller tells in the Network's status. */
export interface NetworkStatus {
  /** How many more hosts can join. */
  readonly hostIdsLeft: number;
  /** Host ids that reserved CIDRs take away, as "96-111" or "7", in order. */
  readonly reservedHostIds: readonly string[];
  /** What agents are asked to acknowledge (objects/release.ts). */
  readonly releases: readonly string[];
  /** What hosts have addresses by; undefined while there is none. */
  readonly held: Held | undefined;
  /** The last mark of a restored backup that every agent has acknowledged; '' when there was none. */
  readonly restored: string;
  readonly accepted: PlanCondition;
}

/** The Network as the controller sees it: readable or not, and with what its status says now. */
export interface ObservedNetwork {
  readonly meta: Meta;
  /** Undefined when `fault` says why it can't be read. */
  readonly network: Network | undefined;
  readonly fault: string;
  /** What its status says that hosts hold. */
  readonly held: Held | undefined;
  /** Canonical text of the status as stored, to compare with `networkStatusText`. */
  readonly statusText: string;
  /** The stored `restored`. */
  readonly restored: string;
  /** The stored condition: what it says, and since when (RFC 3339). */
  readonly since: { readonly status: string; readonly time: string } | undefined;
}

/** Parses a Network; a spec that can't be read is no failure here, since its status has to say so. */
export function parseObservedNetwork(json: unknown): Parsed<ObservedNetwork> {
  const stored = readStored(isJsonObject(json) ? json['status'] : undefined);
  const parsed = parseNetwork(json);
  if (parsed.ok)
    return ok({ meta: parsed.value.meta, network: parsed.value, fault: '', held: parsed.value.held, ...stored });
  // The metadata alone, with the built-in defaults for the rest.
  const bare = isJsonObject(json) ? parseNetwork({ ...json, spec: {} }) : parsed;
  if (!bare.ok) return parsed;
  const { meta, held } = bare.value;
  return ok({ meta, network: undefined, fault: formatFieldErrors(parsed.error), held, ...stored });
}

/** The same text for a status that says the same, whenever it was written. */
export function networkStatusText(status: NetworkStatus): string {
  const { hostIdsLeft, reservedHostIds, releases, restored, accepted } = status;
  const { status: state, reason, message } = accepted;
  return JSON.stringify([hostIdsLeft, reservedHostIds, releases, restored, heldOf(status), state, reason, message]);
}

/** The status as an object for the API; `now` is RFC 3339. */
export function networkStatusToJson(status: NetworkStatus, since: ObservedNetwork['since'], now: string): object {
  const { accepted, held: _held, ...rest } = status;
  const lastTransitionTime = since?.status === accepted.status ? since.time : now;
  // A null takes a field away (RFC 7396).
  return { ...rest, held: heldOf(status), conditions: [{ type: 'PlanAccepted', ...accepted, lastTransitionTime }] };
}

/** As the API has it. */
function heldOf({ held }: NetworkStatus): object | null {
  return held === undefined ? null : { plans: held.plans.map(formatPlan), segmentLabel: held.segmentLabel };
}

function readStored(status: unknown): Pick<ObservedNetwork, 'statusText' | 'restored' | 'since'> {
  const nothing = { statusText: '', restored: '', since: undefined };
  if (!isJsonObject(status)) return nothing;
  const conditions: readonly unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : [];
  const accepted = conditions.find((item) => isJsonObject(item) && item['type'] === 'PlanAccepted');
  if (!isJsonObject(accepted)) return nothing;
  const { hostIdsLeft, reservedHostIds = [], releases = [], restored = '', held = null } = status;
  const { status: state, reason, message, lastTransitionTime } = accepted;
  return {
    statusText: JSON.stringify([hostIdsLeft, reservedHostIds, releases, restored, held, state, reason, message]),
    restored: typeof restored === 'string' ? restored : '',
    since: { status: String(state), time: String(lastTransitionTime) },
  };
}
