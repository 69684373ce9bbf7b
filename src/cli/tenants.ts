import type { Family } from '../addr/address.ts';
import { maxTenant, type Plan } from '../addr/plan.ts';
import type { KubeClient } from '../kube/client.ts';
import { parseNamespace, type Namespace } from '../objects/namespace.ts';
import { NAMESPACES } from '../objects/resources.ts';
import type { Tenant } from '../objects/tenant.ts';
import { readIds, readObjects, useOf, type IdsView, type SegmentUse } from './cluster-view.ts';
import {
  compareNames,
  listCommand,
  useText,
  type Column,
  type ListArguments,
  type ListDependencies,
  type Rows,
} from './listing.ts';

/** A tenant as `romana tenants -o json` has it. */
export interface TenantRow {
  /** Its id; 0 while it has none of its own. */
  readonly tenant: number;
  /** The namespace. */
  readonly tenantName: string;
  /** There when its pods get addresses of the shared pool, in any family. */
  readonly pool?: true;
  /** The families in which they do. */
  readonly poolFamilies: readonly Family[];
  /** Whether an annotation of the namespace isolates its pods for ingress. */
  readonly isolated: boolean;
  /** Values of the segment label that have been named in it. */
  readonly segments: number;
  /** Its addresses in use; missing while all of them are in the shared pool, where bits do not say whose one is. */
  readonly use?: SegmentUse;
}

const COLUMNS: readonly Column<TenantRow>[] = [
  { title: 'TENANT', cell: ({ tenant }) => (tenant === 0 ? '-' : String(tenant)) },
  { title: 'TENANT NAME', cell: ({ tenantName }) => tenantName },
  { title: 'ISOLATED', cell: ({ isolated }) => (isolated ? 'yes' : 'no') },
  { title: 'SEGMENTS', cell: ({ segments }) => String(segments) },
  { title: 'POOL', cell: ({ poolFamilies }) => familiesText(poolFamilies) },
  { title: 'ENDPOINTS', cell: ({ use }) => (use === undefined ? '-' : useText(use)) },
];

/** For a table: `IPv4, IPv6`, or `-`. */
export function familiesText(families: readonly Family[]): string {
  return families.map((family) => `IPv${family}`).join(', ') || '-';
}

/** The families in which all pods of a tenant get addresses of the shared pool: where its id does not fit. */
export function poolFamiliesOf(plans: readonly Plan[], { id, pooled }: Tenant): readonly Family[] {
  return plans.filter((plan) => pooled || id > maxTenant(plan)).map(({ family }) => family);
}

/** The tenants by name. A namespace that is gone counts as isolated, as it does for the agents. */
export function tenantRows(ids: IdsView, namespaces: readonly Namespace[]): readonly TenantRow[] {
  const open = new Set(namespaces.filter(({ isolated }) => !isolated).map(({ meta }) => meta.name));
  return ids.tenants
    .map((tenant): TenantRow => {
      const { id, meta, segments } = tenant;
      const poolFamilies = poolFamiliesOf(ids.network.plans, tenant);
      return {
        tenant: id,
        tenantName: meta.name,
        ...(poolFamilies.length === 0 ? {} : { pool: true as const }),
        poolFamilies,
        isolated: !open.has(meta.name),
        segments: segments.length,
        ...(id === 0 ? {} : { use: useOf(ids, id) }),
      };
    })
    .sort((a, b) => compareNames(a.tenantName, b.tenantName));
}

async function read(client: KubeClient): Promise<Rows<TenantRow>> {
  const [ids, namespaces] = await Promise.all([readIds(client), readObjects(client, NAMESPACES, parseNamespace)]);
  return {
    rows: tenantRows(ids, namespaces.objects),
    unreadable: [...ids.unreadable, ...namespaces.unreadable],
  };
}

/** `romana tenants`: JSON is a list of `TenantRow`. Resolves to the exit status of `listCommand`. */
export function tenantsCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  return listCommand(args, deps, COLUMNS, read);
}
