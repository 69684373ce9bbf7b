import type { FieldError } from '../objects/field.ts';
import type { PolicyFault } from '../objects/policy-fault.ts';
import { closing } from '../objects/policy-fault.ts';
import type { Policy, Rule } from './model.ts';

/** Whether `field` is `place` or in it. */
function isIn(field: string, place: string): boolean {
  return field.startsWith(place) && /^[.[]?$/.test(field.charAt(place.length));
}

/** What fails closed in one policy because of its faults (R25). */
export class FailClosed {
  /** What the policy has to report. */
  readonly problems: readonly FieldError[];
  /** Whether something is wrong outside of its rules, so that none of them can be told. */
  readonly #all: boolean;

  constructor(faults: readonly PolicyFault[]) {
    this.problems = closing(faults).map(({ field, message }) => ({ field, message }));
    this.#all = this.problems.some(({ field }) => !/^spec\.(?:ingress|egress)\[\d+\]/.test(field));
  }

  /** `rule`, or what is left of it: an Accept matches nothing, a Deny or Pass is a Deny of everything. */
  rule(rule: Rule): Rule {
    if (!this.#all && !this.problems.some(({ field }) => isIn(field, rule.field))) return rule;
    return closedRule(rule);
  }
}

/** A policy that can't be enforced, because of `problem`: all of its rules fail closed, and it isolates as before. */
export function closedPolicy(policy: Policy, problem: FieldError): Policy {
  const ingress = policy.ingress.map(closedRule);
  const egress = policy.egress.map(closedRule);
  return { ...policy, ingress, egress, problems: [...policy.problems, problem] };
}

function closedRule(rule: Rule): Rule {
  if (rule.action === 'Accept') return { ...rule, peers: [] };
  return { ...rule, action: 'Deny', peers: 'any', ports: 'any' };
}
