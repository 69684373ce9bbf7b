import type { Family } from '../addr/address.ts';
import { maxSegment, type Plan } from '../addr/plan.ts';
import type { Segment, Tenant } from '../objects/tenant.ts';
import { readIds, useOf, type IdsView, type SegmentUse } from './cluster-view.ts';
import {
  compareNames,
  listCommand,
  useText,
  type Column,
  type ListArguments,
  type ListDependencies,
} from './listing.ts';
import { familiesText, poolFamiliesOf } from './tenants.ts';

/** A segment as `romana segments -o json` has it. */
export interface SegmentRow {
  /** The tenant's id; 0 while it has none of its own. */
  readonly tenant: number;
  /** The namespace. */
  readonly tenantName: string;
  /** Its id in the tenant; 0 is the pods without the label, and a value that found no free id. */
  readonly segment: number;
  /** The label's value; missing for the pods without the label. */
  readonly segmentName?: string;
  /** There when its pods get addresses of the shared pool, in any family. */
  readonly pool?: true;
  /** The families in which they do. */
  readonly poolFamilies: readonly Family[];
  /** Its addresses in use; missing while all of them are in the shared pool, where bits do not say whose one is. */
  readonly use?: SegmentUse;
}

const COLUMNS: readonly Column<SegmentRow>[] = [
  { title: 'TENANT', cell: ({ tenant }) => (tenant === 0 ? '-' : String(tenant)) },
  { title: 'TENANT NAME', cell: ({ tenantName }) => tenantName },
  { title: 'SEGMENT', cell: (row) => (row.segment === 0 && row.pool === true ? '-' : String(row.segment)) },
  { title: 'SEGMENT NAME', cell: ({ segmentName }) => segmentNameText(segmentName) },
  { title: 'POOL', cell: ({ poolFamilies }) => familiesText(poolFamilies) },
  { title: 'ENDPOINTS', cell: ({ use }) => (use === undefined ? '-' : useText(use)) },
];

/** For a table: the label's value, `""` where it is empty, `-` where there is no label. */
export function segmentNameText(name: string | undefined): string {
  return name === '' ? '""' : (name ?? '-');
}

/** The families in which the pods of a segment get addresses of the shared pool; with or without a label. */
export function segmentPoolFamilies(plans: readonly Plan[], tenant: Tenant, segment?: Segment): readonly Family[] {
  const whole = poolFamiliesOf(plans, tenant);
  if (segment === undefined) return whole;
  const narrow = (plan: Plan): boolean => segment.id === 0 || segment.id > maxSegment(plan);
  return plans.filter((plan) => whole.includes(plan.family) || narrow(plan)).map(({ family }) => family);
}

/** The segments by tenant, in each the pods without the label first, then by id, then those without an id. */
export function segmentRows(ids: IdsView): readonly SegmentRow[] {
  return [...ids.tenants]
    .sort((a, b) => compareNames(a.meta.name, b.meta.name))
    .flatMap((tenant) => {
      const sorted = [...tenant.segments].sort((a, b) =>
        a.id === b.id ? compareNames(a.name, b.name) : last(a.id) - last(b.id),
      );
      return [undefined, ...sorted].map((segment) => rowOf(ids, tenant, segment));
    });
}

/** For sorting: what has no id comes last. */
function last(id: number): number {
  return id === 0 ? Infinity : id;
}

function rowOf(ids: IdsView, tenant: Tenant, segment: Segment | undefined): SegmentRow {
  const poolFamilies = segmentPoolFamilies(ids.network.plans, tenant, segment);
  const bits = tenant.id !== 0 && segment?.id !== 0;
  return {
    tenant: tenant.id,
    tenantName: tenant.meta.name,
    segment: segment?.id ?? 0,
    ...(segment === undefined ? {} : { segmentName: segment.name }),
    ...(poolFamilies.length === 0 ? {} : { pool: true as const }),
    poolFamilies,
    ...(bits ? { use: useOf(ids, tenant.id, segment?.id ?? 0) } : {}),
  };
}

/** `romana segments`: JSON is a list of `SegmentRow`. Resolves to the exit status of `listCommand`. */
export function segmentsCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  return listCommand(args, deps, COLUMNS, async (client) => {
    const ids = await readIds(client);
    const rows = segmentRows(ids).filter((row) => (args.namespace ?? row.tenantName) === row.tenantName);
    return { rows, unreadable: ids.unreadable };
  });
}
