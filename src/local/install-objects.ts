import { DEFAULT_PLANS, formatPlan, parsePlan, type Plan } from '../addr/plan.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { FABRIC_CIDRS } from './cluster-layout.ts';

/** The plans of a cluster: those given as text, and the default one of a family that none is given for. */
export function clusterPlans(texts: readonly string[]): Result<readonly Plan[]> {
  const plans: Plan[] = [];
  for (const text of texts) {
    const plan = parsePlan(text);
    if (!plan.ok) return err(`--plan ${text}: ${plan.error}`);
    const other = plans.find(({ family }) => family === plan.value.family);
    if (other !== undefined) return err(`--plan ${text}: ${formatPlan(other)} is given for IPv${other.family} already`);
    plans.push(plan.value);
  }
  const missing = DEFAULT_PLANS.filter(({ family }) => plans.every((plan) => plan.family !== family));
  return ok([...plans, ...missing].sort((a, b) => a.family - b.family));
}

/** The Network object of a local cluster, as JSON: nodes' addresses are reserved. */
export function networkObject(plans: readonly Plan[]): object {
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
      reservedCIDRs: FABRIC_CIDRS,
      mtu: 0,
      masquerade: { enabled: true, excludeCIDRs: [] },
    },
  };
}
