import type { AllowIncoming, DemoPolicy } from '../objects/demo-policy.ts';
import { selectorFromLabels } from '../objects/selector.ts';
import type { PodSelection, Policy, Rule } from './model.ts';

function ruleOf(allow: AllowIncoming, namespaces: PodSelection['namespaces']): Rule {
  return {
    action: 'Accept',
    peers:
      allow.from?.map(({ pods }) => ({ kind: 'pods', selection: { namespaces, pods: selectorFromLabels(pods) } })) ??
      'any',
    ports: allow.toPorts?.map(({ protocol, port }) => ({ protocol, ports: { from: port, to: port } })) ?? 'any',
    field: 'spec.allowIncoming',
  };
}

/** A demo policy in the one model. Its subjects and peers are pods of its own namespace; it isolates nothing. */
export function demoPolicy(policy: DemoPolicy): Policy {
  const { namespace, name, uid } = policy.meta;
  const namespaces = { kind: 'names', names: [namespace] } as const;
  return {
    source: 'demo',
    ref: { kind: 'NetworkPolicy', namespace, name, uid },
    priority: 0,
    subject: { namespaces, pods: selectorFromLabels(policy.podSelector) },
    isolates: { ingress: false, egress: false },
    ingress: policy.allowIncoming === undefined ? [] : [ruleOf(policy.allowIncoming, namespaces)],
    egress: [],
    problems: [],
  };
}
