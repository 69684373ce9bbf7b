import type {
  ClusterNetworkPolicy,
  ClusterPeer,
  ClusterPods,
  ClusterPort,
  ClusterRule,
} from '../objects/cluster-network-policy.ts';
import { FailClosed } from './fail-closed.ts';
import type { Peer, PodSelection, Policy, PortMatch, Rule } from './model.ts';

function selectionOf({ namespaces, pods }: ClusterPods): PodSelection {
  return { namespaces: { kind: 'selector', selector: namespaces }, pods };
}

/** Domain names match nobody here: their rule has failed closed. */
function peerOf(peer: ClusterPeer): Peer {
  if (peer.kind === 'pods') return { kind: 'pods', selection: selectionOf(peer) };
  if (peer.kind === 'nodes') return peer;
  const cidrs = peer.kind === 'networks' ? peer.cidrs : [];
  return { kind: 'cidrs', blocks: cidrs.map((cidr) => ({ cidr, except: [] })) };
}

function portsOf(port: ClusterPort): readonly PortMatch[] {
  if (!('name' in port)) return [{ protocol: port.protocol, ports: { from: port.from, to: port.to } }];
  return (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({ protocol, ports: { name: port.name } }));
}

function ruleOf({ name, action, peers, ports }: ClusterRule, field: string): Rule {
  return {
    // What an action does that is not known: it may well be to deny.
    action: action ?? 'Deny',
    peers: peers.map(peerOf),
    ports: ports?.flatMap(portsOf) ?? 'any',
    field,
    ...(name === '' ? {} : { name }),
  };
}

/** A policy.networking.k8s.io ClusterNetworkPolicy in the one model. */
export function clusterPolicy(policy: ClusterNetworkPolicy): Policy {
  const closed = new FailClosed(policy.faults);
  const rules = (direction: 'ingress' | 'egress'): readonly Rule[] =>
    policy[direction].map((rule, i) => closed.rule(ruleOf(rule, `spec.${direction}[${i}]`)));
  return {
    source: policy.tier === 'Admin' ? 'admin' : 'baseline',
    ref: {
      kind: 'ClusterNetworkPolicy',
      namespace: '',
      name: policy.meta.name,
      uid: policy.meta.uid,
      ...(policy.generation === 0 ? {} : { generation: policy.generation }),
    },
    priority: policy.priority,
    subject: selectionOf(policy.subject),
    isolates: { ingress: false, egress: false },
    ingress: rules('ingress'),
    egress: rules('egress'),
    problems: closed.problems,
  };
}
