import type { Host } from './host.ts';
import { claimName, type IdClaim } from './id-claim.ts';
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

/**
 * The name of the release of a host id: that of its claim, with the resourceVersion since which it is released; no
 * other release has it.
 */
export function hostRelease({ id, meta }: Pick<IdClaim, 'id' | 'meta'>): string {
  return `${claimName('Host', id)}/${meta.resourceVersion}`;
}

/** The annotation of the Network by which a person says that the API server was restored from a backup; any new value. */
const RESTORED_ANNOTATION = 'romana.io/restored';
const RESTORED = 'restored:';
/** As long as names of objects are, so that it fits in reports. */
const MAX_MARK = 253;

/**
 * What agents acknowledge after a backup was restored, like a release: that they mean nothing by any id but what the
 * restored API server says. Undefined where none was.
 */
export function restoreMark({ annotations }: Pick<Meta, 'annotations'>): string | undefined {
  const value = annotations.get(RESTORED_ANNOTATION);
  return value === undefined ? undefined : `${RESTORED}${value.replaceAll('/', '-')}`.slice(0, MAX_MARK);
}

/** Whether a release is such a mark: whoever acknowledges it has to read everything anew before. */
export function isRestoreMark(release: string): boolean {
  return release.startsWith(RESTORED);
}

/** Whether `hosts` or `tenants` still have, under its old owner or a new one, the id that a release is about. */
export function isMeant(release: string, hosts: Iterable<Host>, tenants: Iterable<Tenant>): boolean {
  const [uid, segment] = release.split('/');
  for (const { id } of hosts) if (uid === claimName('Host', id)) return true;
  for (const { meta, segments } of tenants) {
    if (meta.uid === uid) return segment === undefined || segments.some(({ id }) => String(id) === segment);
  }
  return false;
}
