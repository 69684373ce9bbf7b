import { err, ok, type Result } from '../lib/result.ts';
import type { Family } from './address.ts';
import { DEFAULT_PLANS, formatPlan, parsePlan, type Plan } from './plan.ts';

/**
 * The plans of a cluster: those given as text, and the default one of a family that none is given for.
 *
 * @param families those that pods get addresses of; a plan of another one is refused.
 */
export function clusterPlans(texts: readonly string[], families: readonly Family[] = [4, 6]): Result<readonly Plan[]> {
  const plans: Plan[] = [];
  for (const text of texts) {
    const plan = parsePlan(text);
    if (!plan.ok) return err(`--plan ${text}: ${plan.error}`);
    const { family } = plan.value;
    const other = plans.find((known) => known.family === family);
    if (other !== undefined) return err(`--plan ${text}: ${formatPlan(other)} is given for IPv${family} already`);
    if (!families.includes(family)) {
      const meant = families.map((known) => `IPv${known}`).join(' and ');
      return err(`--plan ${text}: it is for IPv${family}, but pods are to have addresses of ${meant} only`);
    }
    plans.push(plan.value);
  }
  const missing = DEFAULT_PLANS.filter(
    ({ family }) => families.includes(family) && plans.every((plan) => plan.family !== family),
  );
  return ok([...plans, ...missing].sort((a, b) => a.family - b.family));
}
