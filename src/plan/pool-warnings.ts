import type { Snapshot } from './snapshot.ts';
import type { Tenancy } from './tenancy.ts';
import type { Warning } from './warning.ts';

/** The namespaces and segments of this host's pods that have no bits of their own: they work, with more work for us. */
export function poolWarnings(snapshot: Snapshot, tenancy: Tenancy): readonly Warning[] {
  const warnings = new Map<string, Warning>();
  for (const { namespace, segment } of snapshot.leases) {
    for (const plan of snapshot.network.plans) {
      const where = `IPv${plan.family}`;
      if (tenancy.tenantSlot(plan, namespace).kind === 'pool') {
        warnings.set(`${plan.family} ${namespace}`, {
          reason: 'PooledTenant',
          object: `Namespace ${namespace}`,
          message: `no tenant id is free in ${where}: its pods are in the shared pool and matched one by one`,
        });
      } else if (segment !== null && tenancy.segmentSlot(plan, namespace, segment).kind === 'pool') {
        warnings.set(`${plan.family} ${namespace}/${segment}`, {
          reason: 'PooledSegment',
          object: `Namespace ${namespace}`,
          message: `no segment id is free in ${where} for ${JSON.stringify(segment)}: its pods are in the shared pool`,
        });
      }
    }
  }
  return [...warnings.values()];
}
