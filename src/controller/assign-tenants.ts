import { lowestFreeId } from '../addr/ids.ts';
import { formatPlan, maxSegment, maxTenant } from '../addr/plan.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Network } from '../objects/network.ts';
import type { Tenant } from '../objects/tenant.ts';
import { assignSegments } from './assign-segments.ts';
import { pooledPlans, tenantIds } from '../objects/id-space.ts';
import { namedSegments, takesAddress } from './named-segments.ts';
import { unconfirmedRestore } from './releases.ts';
import type { IdClaim } from '../objects/id-claim.ts';
import {
  NAMESPACE_UID_ANNOTATION,
  type Action,
  type Assignment,
  type ClusterState,
  type TenantStatus,
  type Warning,
} from './state.ts';

/** Values of the segment label of the pods that take an address, by namespace; undefined is no label (R38). */
type PodSegments = ReadonlyMap<string, ReadonlySet<string | undefined>>;

/**
 * One Tenant for each namespace that has pods, with a tenant id that this very Tenant object has claimed and an id
 * for each segment that is named. Where no id is left, the shared pool; nothing fails.
 */
export function assignTenants(network: Network, state: ClusterState): Assignment {
  const actions: Action[] = [];
  const warnings: Warning[] = [];
  const pods = podSegments(network, state);
  const claims = new TenantClaims(network, state);
  const labels = new Map([...state.namespaces].map(([name, { meta }]) => [name, meta.labels]));
  const named = namedSegments(network.segmentLabel, labels, state.pods.values(), state.policies);
  for (const namespace of [...state.namespaces.values()].toSorted(byAge)) {
    const { name, uid } = namespace.meta;
    warnings.push(...isolationWarnings(namespace));
    if (state.unreadable.has(name)) continue;
    const tenant = state.tenants.get(name);
    if (tenant === undefined) {
      if (pods.has(name)) actions.push({ kind: 'create-tenant', namespace: { name, uid } });
      continue;
    }
    if (!belongs(tenant, namespace)) {
      actions.push({ kind: 'delete-tenant', meta: tenant.meta, because: 'no-namespace' });
      continue;
    }
    if (!pods.has(name) && claims.hasBetterFor(tenant)) {
      // Its next pod brings a Tenant with an id that fits all families.
      actions.push({ kind: 'delete-tenant', meta: tenant.meta, because: 'better-id' });
      continue;
    }
    const action = advance(network, state, tenant, claims, pods.get(name), named.get(name) ?? new Set());
    if (action !== undefined) actions.push(action);
    const shown = action?.kind === 'set-tenant' ? action.status : tenant;
    warnings.push(...poolWarnings(network, namespace, shown));
  }
  actions.push(...tenantsWithoutNamespace(state, pods), ...claims.superfluous());
  return { actions, warnings };
}

/** The next step of a Tenant that is its namespace's; undefined when there is none. */
function advance(
  network: Network,
  state: ClusterState,
  tenant: Tenant,
  claims: TenantClaims,
  pods: ReadonlySet<string | undefined> | undefined,
  named: ReadonlySet<string>,
): Action | undefined {
  const id = tenant.id === 0 ? claims.idOf(tenant) : tenant.id;
  if (id !== undefined) {
    const use = { named, pods, agents: state, cautious: claims.cautious };
    const next = assignSegments(network, { ...tenant, id }, use);
    if (next === undefined && tenant.id === id) return undefined;
    const { segments, released, frees } = next ?? { ...tenant, frees: [] };
    return { kind: 'set-tenant', meta: tenant.meta, status: { id, pooled: false, segments, released }, frees };
  }
  // Pods in the pool would keep addresses there that nobody looks for once the namespace has bits of its own.
  if (tenant.pooled && pods !== undefined) return undefined;
  const claim = claims.give(tenant);
  if (claim !== undefined) return claim;
  if (tenant.pooled) return undefined;
  const status = { id: 0, pooled: true, segments: [], released: [] };
  return { kind: 'set-tenant', meta: tenant.meta, status, frees: [] };
}

/** Tenants whose namespace is gone with all its pods. Their claims stay until nobody may mean them. */
function tenantsWithoutNamespace(state: ClusterState, pods: PodSegments): readonly Action[] {
  return [...state.tenants.values()]
    .filter(({ meta: { name } }) => !state.namespaces.has(name) && !state.unreadable.has(name) && !pods.has(name))
    .map((tenant) => ({ kind: 'delete-tenant', meta: tenant.meta, because: 'no-namespace' }));
}

/** Which tenant ids are whose, kept up to date with what is being given. */
class TenantClaims {
  readonly #network: Network;
  readonly #taken = new Set<number>();
  readonly #resting = new Set<number>();
  readonly #byHolder = new Map<string, IdClaim[]>();
  readonly #tenants: ReadonlyMap<string, Tenant>;
  /** Whether ids that look free may be in use: a backup was restored, and not all agents have acknowledged that. */
  readonly cautious: boolean;

  constructor(network: Network, state: ClusterState) {
    this.#network = network;
    this.cautious = state.network !== undefined && unconfirmedRestore(state.network) !== undefined;
    this.#tenants = state.tenants;
    for (const claim of state.claims.values()) {
      if (claim.kind !== 'Tenant') continue;
      this.#taken.add(claim.id);
      this.#byHolder.set(claim.holder.uid, [...(this.#byHolder.get(claim.holder.uid) ?? []), claim]);
    }
    for (const tenant of state.tenants.values()) this.#taken.add(tenant.id);
    for (const name of state.unreadable) {
      const id = /^tenant-(\d+)$/.exec(name)?.[1];
      if (id !== undefined) this.#taken.add(Number(id));
    }
    // What an agent reports and nobody has claimed was given before a backup was restored.
    for (const { leases } of state.reports.values()) for (const { tenant } of leases) this.#resting.add(tenant);
  }

  /** The lowest id that this Tenant object has claimed. */
  idOf(tenant: Tenant): number | undefined {
    const ids = (this.#byHolder.get(tenant.meta.uid) ?? []).map(({ id }) => id);
    return ids.length === 0 ? undefined : Math.min(...ids);
  }

  /** Whether a family uses its shared pool for the id that this Tenant has, and an id is left for which none does. */
  hasBetterFor({ id }: Tenant): boolean {
    if (id === 0 || this.cautious || this.#resting.has(id) || pooledPlans(this.#network, id).length === 0) return false;
    const better = lowestFreeId(tenantIds(this.#network), { taken: this.#taken, resting: this.#resting });
    return better !== undefined && pooledPlans(this.#network, better).length === 0;
  }

  /** The claim to make for this Tenant object; undefined when no id is left. */
  give(tenant: Tenant): Action | undefined {
    const id = lowestFreeId(tenantIds(this.#network), { taken: this.#taken, resting: this.#resting });
    if (id === undefined || this.cautious) return undefined;
    this.#taken.add(id);
    const holder = { name: tenant.meta.name, uid: tenant.meta.uid };
    return { kind: 'create-claim', claim: { kind: 'Tenant', id, holder } };
  }

  /** Claims of Tenants that have another id, which they never change: two leaders gave them one each. */
  superfluous(): readonly Action[] {
    return [...this.#tenants.values()].flatMap((tenant) =>
      (this.#byHolder.get(tenant.meta.uid) ?? [])
        .filter(({ id }) => tenant.id !== 0 && id !== tenant.id)
        .map((claim) => ({ kind: 'delete-claim' as const, meta: claim.meta })),
    );
  }
}

function podSegments(network: Network, state: ClusterState): PodSegments {
  const found = new Map<string, Set<string | undefined>>();
  const add = (namespace: string, segment: string | undefined): void => {
    const known = found.get(namespace);
    if (known === undefined) found.set(namespace, new Set([segment]));
    else known.add(segment);
  };
  for (const pod of state.pods.values()) {
    if (takesAddress(pod)) add(pod.meta.namespace, pod.meta.labels.get(network.segmentLabel));
  }
  // A pod that can't be read may have an address all the same.
  for (const key of state.unreadable) if (key.includes('/')) add(key.slice(0, key.indexOf('/')), undefined);
  return found;
}

function belongs(tenant: Tenant, namespace: Namespace): boolean {
  const uid = tenant.meta.annotations.get(NAMESPACE_UID_ANNOTATION);
  return uid === undefined || uid === namespace.meta.uid;
}

function byAge(a: Namespace, b: Namespace): number {
  const [older, younger] = [a.meta.creationTimestamp ?? '', b.meta.creationTimestamp ?? ''];
  if (older !== younger) return older < younger ? -1 : 1;
  return a.meta.name.localeCompare(b.meta.name, 'en', { numeric: true });
}

/** An isolation annotation that can't be read shuts its namespace; whoever set it has to hear of it. */
function isolationWarnings({ meta, problems }: Namespace): readonly Warning[] {
  const about = { kind: 'Namespace' as const, name: meta.name, uid: meta.uid };
  return problems.map(({ field, message }) => ({
    about,
    reason: 'UnreadableIsolation',
    message: `${field}: ${message}`,
  }));
}

function poolWarnings(network: Network, namespace: Namespace, status: TenantStatus): readonly Warning[] {
  const about = { kind: 'Namespace' as const, name: namespace.meta.name, uid: namespace.meta.uid };
  const warnings: Warning[] = [];
  const waiting = status.id === 0 && !status.pooled;
  for (const plan of waiting ? [] : pooledPlans(network, status.id)) {
    const message =
      `plan ${formatPlan(plan)} has ${maxTenant(plan)} tenant ids and none is left for this namespace: its pods get ` +
      `IPv${plan.family} addresses of the shared pool, and rules name them one by one`;
    warnings.push({ about, reason: 'SharedPool', message });
  }
  for (const plan of network.plans) {
    if (pooledPlans(network, status.id).includes(plan)) continue;
    const pooled = status.segments.filter(({ id }) => id === 0 || id > maxSegment(plan)).length;
    if (pooled === 0) continue;
    const message =
      `plan ${formatPlan(plan)} has ${maxSegment(plan)} segment ids, ${pooled} more are named in this namespace: ` +
      `their pods get IPv${plan.family} addresses of the shared pool`;
    warnings.push({ about, reason: 'SegmentsInSharedPool', message });
  }
  return warnings;
}
