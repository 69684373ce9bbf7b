import type { Plan } from '../addr/plan.ts';
import type { JsonObject } from '../objects/field.ts';
import { FABRIC_CIDRS } from './cluster-layout.ts';

/**
 * The Network object of a local cluster, as JSON: nodes' addresses are reserved.
 *
 * @param reserved CIDRs of a plan that are others' beside, such as Services'.
 */
export function networkObject(plans: readonly Plan[], reserved: readonly string[] = []): JsonObject {
  return {
    apiVersion: 'romana.io/v1',
    kind: 'Network',
    metadata: { name: 'default' },
    spec: {
      plans: plans.map(({ cidr, hostBits, tenantBits, segmentBits, endpointBits }) => ({
        cidr,
        hostBits,
        tenantBits,
        segmentBits,
        endpointBits,
      })),
      segmentLabel: 'segment',
      reservedCIDRs: [...FABRIC_CIDRS, ...reserved],
      mtu: 0,
      masquerade: { enabled: true, excludeCIDRs: [] },
    },
  };
}
