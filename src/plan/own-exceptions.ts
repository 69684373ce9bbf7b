import { familyOf } from '../addr/address.ts';
import type { Address } from '../addr/address.ts';
import { decode } from '../addr/plan.ts';
import type { Plan } from '../addr/plan.ts';
import type { Exception } from '../objects/host.ts';
import type { Pod } from '../objects/pod.ts';
import type { KnownPods } from './known-pods.ts';
import type { Lease, Snapshot } from './snapshot.ts';
import { isInSlot } from './tenancy.ts';
import type { Tenancy } from './tenancy.ts';

/**
 * What this host publishes in its Host's status: its pods whose addresses other hosts would judge wrongly by the
 * bits, or not find in the shared pool because the tenant and the segment have bits. Sorted by uid, so that equal
 * states publish equal lists.
 */
export function ownExceptions(snapshot: Snapshot, tenancy: Tenancy, known: KnownPods): Exception[] {
  const plans = new Map(snapshot.network.plans.map((plan) => [plan.family, plan]));
  const found: Exception[] = [];
  for (const { lease, pod } of known.locals) {
    if (pod === undefined) continue;
    const segment = pod.meta.labels.get(snapshot.network.segmentLabel) ?? null;
    const addresses = lease.addresses.filter((address) => {
      if (known.byAddress.get(address)?.regular === true) return false;
      const plan = plans.get(familyOf(address));
      return plan !== undefined && differs({ plan, tenancy, lease, segment, address });
    });
    if (addresses.length > 0) found.push(exceptionOf(pod, addresses));
  }
  return found.sort((a, b) => (a.uid < b.uid ? -1 : Number(a.uid > b.uid)));
}

function differs(at: {
  plan: Plan;
  tenancy: Tenancy;
  lease: Lease;
  segment: string | null;
  address: Address;
}): boolean {
  const slot = at.tenancy.segmentSlot(at.plan, at.lease.namespace, at.segment);
  if (slot.kind !== 'unknown') return !isInSlot(at.plan, slot, at.address);
  // Nobody can name the pod by bits while its ids are unknown; but its bits must not name another's pods either.
  if (at.segment !== at.lease.segment) return true;
  const fields = decode(at.plan, at.address);
  const owner = fields === undefined ? undefined : at.tenancy.ownerOf(fields);
  return owner !== undefined && (owner.segment !== undefined || owner.namespace !== at.lease.namespace);
}

function exceptionOf(pod: Pod, addresses: readonly Address[]): Exception {
  const { namespace, name, uid, labels } = pod.meta;
  return { namespace, pod: name, uid, addresses, labels };
}
