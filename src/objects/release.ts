import type { Meta } from './meta.ts';
import type { Tenant } from './tenant.ts';

/** The name of the release of a tenant id: the uid of the Tenant that had it, which no other object ever has. */
export function tenantRelease(tenant: Pick<Meta, 'uid'>): string {
  return tenant.uid;
}

/**
 * The name of the release of a segment id.
 *
 * @param version the Tenant's resourceVersion that the id was taken away under; no other release has it.
 */
export function segmentRelease(tenant: Pick<Meta, 'uid'>, id: number, version: string): string {
  return `${tenant.uid}/${id}/${version}`;
}

/** Whether `tenants` still have, under its old owner or a new one, the id that a release is about. */
export function isMeant(release: string, tenants: Iterable<Tenant>): boolean {
  const [uid, segment] = release.split('/');
  for (const { meta, segments } of tenants) {
    if (meta.uid === uid) return segment === undefined || segments.some(({ id }) => String(id) === segment);
  }
  return false;
}
