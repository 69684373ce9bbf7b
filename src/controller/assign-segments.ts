import { type IdRange, lowestFreeId } from '../addr/ids.ts';
import { maxSegment } from '../addr/plan.ts';
import type { Network } from '../objects/network.ts';
import { segmentRelease } from '../objects/release.ts';
import type { ReleasedSegment, Segment, Tenant } from '../objects/tenant.ts';
import { segmentIds } from '../objects/id-space.ts';
import { isOver } from './releases.ts';
import type { Agents, Release } from './state.ts';

/** What is known of a tenant's segments beside what its Tenant says. */
export interface SegmentUse {
  /** The values of the segment label that a pod or a policy names. */
  readonly named: ReadonlySet<string>;
  /** Those of pods, `undefined` for pods without the label; undefined when there are no pods. */
  readonly pods: ReadonlySet<string | undefined> | undefined;
  readonly agents: Agents;
  /** Whether ids that look free may be in use, so that none is given. */
  readonly cautious: boolean;
}

/** What becomes of a tenant's segments. */
export interface SegmentChange {
  readonly segments: readonly Segment[];
  readonly released: readonly ReleasedSegment[];
  /** The releases that are over, whose ids may be given from now on. */
  readonly frees: readonly Release[];
}

/**
 * The next step of a tenant's segments; undefined when there is none. A segment that a pod or a policy names gets the
 * lowest id that is left. An id stays with its value, named or not, until ids are scarce: then those that nobody
 * names are taken away, and go to others when no agent means the old value any more.
 */
export function assignSegments(network: Network, tenant: Tenant, use: SegmentUse): SegmentChange | undefined {
  const { meta, id } = tenant;
  const asRelease = ({ id: segment, release }: ReleasedSegment): Release => ({ name: release, tenant: id, segment });
  const released = tenant.released.filter((one) => use.cautious || !isOver(asRelease(one), use.agents));
  const frees = tenant.released.filter((one) => !released.includes(one)).map(asRelease);
  const resting = reportedSegments(use.agents, id);
  const unavailable = { resting, released };
  const segments = takeUnneeded(network, giveIds(network, tenant, use, unavailable), use, unavailable);
  const kept = new Set(segments.map((one) => one.id));
  const lost = tenant.segments.filter((one) => one.id !== 0 && !kept.has(one.id));
  const unchanged =
    segments.length === tenant.segments.length && segments.every((one) => tenant.segments.includes(one));
  if (unchanged && frees.length === 0) return undefined;
  const more = lost.map((one) => ({ id: one.id, release: segmentRelease(meta, one.id, meta.resourceVersion) }));
  return { segments, released: [...released, ...more], frees };
}

/** Ids that somebody may still act for: those of leases, and those that are not acknowledged by all. */
interface Unavailable {
  readonly resting: ReadonlySet<number>;
  readonly released: readonly ReleasedSegment[];
}

/** The segments, with ids for those that wait for one; the very same objects where nothing changes. */
function giveIds(network: Network, tenant: Tenant, use: SegmentUse, unavailable: Unavailable): readonly Segment[] {
  const { named, pods } = use;
  // Nothing is kept for a value that never got an id.
  const known = new Map(
    tenant.segments.filter(({ name, id }) => id !== 0 || named.has(name)).map((one) => [one.name, one]),
  );
  // An id that is taken away here is not given again in the same step.
  const taken = new Set(tenant.segments.map(({ id }) => id));
  for (const name of [...named].toSorted()) {
    const before = known.get(name);
    if (before !== undefined && !isPooled(network, before)) continue;
    const isNew = before === undefined || before.id === 0;
    // Pods in the pool would keep addresses there that nobody looks for once the segment has bits of its own.
    if (before !== undefined && (pods?.has(name) === true || (!isNew && unavailable.resting.has(before.id)))) continue;
    const free = freeId(taken, unavailable, isNew ? segmentIds(network) : fitting(network));
    const id = use.cautious ? 0 : (free ?? 0);
    if (before !== undefined && id === 0) continue;
    taken.add(id);
    known.set(name, { name, id });
  }
  return [...known.values()];
}

/** Takes the lowest id from a segment that nobody names, when one that is named has addresses of the pool. */
function takeUnneeded(
  network: Network,
  segments: readonly Segment[],
  { named }: SegmentUse,
  unavailable: Unavailable,
): readonly Segment[] {
  const wanted = segments.filter((one) => named.has(one.name) && isPooled(network, one)).length;
  const used = new Set(segments.map(({ id }) => id));
  if (wanted <= unavailable.released.length || freeId(used, unavailable, fitting(network)) !== undefined)
    return segments;
  const unneeded = segments
    .filter((one) => !isPooled(network, one) && !named.has(one.name) && !unavailable.resting.has(one.id))
    .toSorted((a, b) => a.id - b.id);
  const taken = new Set(unneeded.slice(0, wanted - unavailable.released.length));
  return segments.filter((one) => !taken.has(one));
}

function freeId(taken: ReadonlySet<number>, { resting, released }: Unavailable, range: IdRange): number | undefined {
  return lowestFreeId(range, { taken, resting: new Set([...resting, ...released.map(({ id }) => id)]) });
}

/** The segment ids that no family uses its shared pool for. */
function fitting(network: Network): IdRange {
  return { first: 1, last: Math.min(...network.plans.map(maxSegment)) };
}

/** Whether pods of the segment get addresses of the shared pool in some family whose other segments have bits. */
function isPooled(network: Network, { id }: Segment): boolean {
  return id === 0 || network.plans.some((plan) => id > maxSegment(plan));
}

/** Segment ids of the tenant that agents have leases of, whoever they are. */
function reportedSegments({ reports }: Agents, tenant: number): ReadonlySet<number> {
  const segments = new Set<number>();
  for (const { leases } of reports.values()) {
    for (const lease of leases) if (lease.tenant === tenant) segments.add(lease.segment);
  }
  return segments;
}
