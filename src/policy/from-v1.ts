import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicyRule,
} from '../objects/network-policy.ts';
import { EVERYTHING } from '../objects/selector.ts';
import { FailClosed } from './fail-closed.ts';
import type { Peer, PodSelection, Policy, PortMatch, Rule } from './model.ts';

function portOf({ protocol, port, endPort }: NetworkPolicyPort): PortMatch {
  if (port === undefined) return { protocol, ports: 'any' };
  if (typeof port === 'string') return { protocol, ports: { name: port } };
  return { protocol, ports: { from: port, to: endPort ?? port } };
}

function peerOf(peer: NetworkPolicyPeer, own: PodSelection['namespaces']): Peer {
  if ('ipBlock' in peer) return { kind: 'cidrs', blocks: [peer.ipBlock] };
  const { namespaceSelector: selector, podSelector } = peer;
  const namespaces = selector === undefined ? own : ({ kind: 'selector', selector } as const);
  return { kind: 'pods', selection: { namespaces, pods: podSelector ?? EVERYTHING } };
}

function ruleOf({ peers, ports }: NetworkPolicyRule, field: string, own: PodSelection['namespaces']): Rule {
  return {
    action: 'Accept',
    peers: peers.length === 0 ? 'any' : peers.map((peer) => peerOf(peer, own)),
    ports: ports.length === 0 ? 'any' : ports.map(portOf),
    field,
  };
}

/** A networking.k8s.io/v1 NetworkPolicy in the one model. */
export function v1Policy(policy: NetworkPolicy): Policy {
  const { namespace, name, uid } = policy.meta;
  const own = { kind: 'names', names: [namespace] } as const;
  const closed = new FailClosed(policy.faults);
  const rules = (direction: 'ingress' | 'egress'): readonly Rule[] =>
    policy[direction].map((rule, i) => closed.rule(ruleOf(rule, `spec.${direction}[${i}]`, own)));
  return {
    source: 'v1',
    ref: { kind: 'NetworkPolicy', namespace, name, uid },
    priority: 0,
    subject: { namespaces: own, pods: policy.podSelector },
    isolates: policy.isolates,
    ingress: rules('ingress'),
    egress: rules('egress'),
    problems: closed.problems,
  };
}
