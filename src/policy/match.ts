import { familyOf, type Address } from '../addr/address.ts';
import { cidrLength, contains } from '../addr/cidr.ts';
import { NAMESPACE_NAME_LABEL, type Namespace } from '../objects/namespace.ts';
import { matches, matchesPartly, type Answer } from '../objects/selector.ts';
import type { CidrBlock, Peer, PodSelection, PortMatch, Protocol, Rule } from './model.ts';
import { addressesOf, type Party } from './party.ts';

/** What is tried: a port of the destination, or ping. */
export type Port = { readonly protocol: Protocol; readonly port: number } | { readonly protocol: 'ICMP' };

/** What selections are judged with. */
export interface Labelled {
  /** The pods' label that addresses' bits name. */
  readonly segmentLabel: string;
  readonly namespaces: ReadonlyMap<string, Namespace>;
}

function both(a: Answer, b: Answer): Answer {
  if (a === 'no' || b === 'no') return 'no';
  return a === 'yes' && b === 'yes' ? 'yes' : 'unknown';
}

function answer(condition: boolean): Answer {
  return condition ? 'yes' : 'no';
}

function selectsNamespace(world: Labelled, namespaces: PodSelection['namespaces'], name: string): Answer {
  if (namespaces.kind === 'names') return answer(namespaces.names.includes(name));
  const namespace = world.namespaces.get(name);
  if (namespace !== undefined) return answer(matches(namespaces.selector, namespace.meta.labels));
  const named = new Map([[NAMESPACE_NAME_LABEL, name]]);
  return matchesPartly(namespaces.selector, named, (key) => key === NAMESPACE_NAME_LABEL);
}

/** Whether `party` is one of the pods of `selection`. Hosts and what is outside are no pods. */
export function selects(world: Labelled, selection: PodSelection, party: Party): Answer {
  if (party.kind === 'unknown') return 'unknown';
  if (party.kind !== 'pod') return 'no';
  const namespace = selectsNamespace(world, selection.namespaces, party.namespace);
  if (namespace === 'no') return 'no';
  const known = (key: string): boolean =>
    party.known === 'all' || (party.known === 'segment' && key === world.segmentLabel);
  return both(namespace, matchesPartly(selection.pods, party.labels, known));
}

/** Whether `address` is one of `block`. */
export function inBlock({ cidr, except }: CidrBlock, address: Address): boolean {
  return contains(cidr, address) && !except.some((hole) => contains(hole, address));
}

/** Whether `party` has its addresses in the blocks. Some in and some out: that depends on the connection, `unknown`. */
function inCidrs(blocks: readonly CidrBlock[], party: Party): Answer {
  const addresses = addressesOf(party);
  if (addresses.length === 0) {
    // A pod whose address is still to come will have one of the plan, wherever that is: only /0 holds it for certain.
    const all = blocks.filter(({ cidr }) => cidrLength(cidr) === 0);
    if (all.length === 0) return 'no';
    return all.some(({ except }) => except.length === 0) ? 'yes' : 'unknown';
  }
  const inside = addresses.filter((address) => blocks.some((block) => inBlock(block, address)));
  if (inside.length === 0) return 'no';
  return inside.length === addresses.length ? 'yes' : 'unknown';
}

/** Whether `peer` names `party`. */
export function matchesPeer(world: Labelled, peer: Peer, party: Party): Answer {
  if (peer.kind === 'cidrs') return inCidrs(peer.blocks, party);
  if (peer.kind === 'nodes') return answer(party.kind === 'host' && matches(peer.selector, party.labels));
  return selects(world, peer.selection, party);
}

function matchesPort(match: PortMatch, port: Port, destination: Party): Answer {
  if (port.protocol === 'ICMP' || port.protocol !== match.protocol) return 'no';
  if (match.ports === 'any') return 'yes';
  if ('from' in match.ports) return answer(match.ports.from <= port.port && port.port <= match.ports.to);
  if (destination.kind === 'unknown') return 'unknown';
  if (destination.kind !== 'pod') return 'no';
  if (destination.known !== 'all') return 'unknown';
  const { name } = match.ports;
  return answer(destination.ports.some((p) => p.name === name && p.protocol === port.protocol && p.port === port.port));
}

/** Whether one of the ports of a rule is `port` of `destination`. */
export function matchesPorts(ports: Rule['ports'], port: Port, destination: Party): Answer {
  if (ports === 'any') return 'yes';
  let best: Answer = 'no';
  for (const match of ports) {
    const found = matchesPort(match, port, destination);
    if (found === 'yes') return 'yes';
    if (found === 'unknown') best = 'unknown';
  }
  return best;
}

/** Whether the peers of a rule name `party`, and the index of the first peer that does or may; -1 for `any`. */
export function matchesPeers(
  world: Labelled,
  peers: Rule['peers'],
  party: Party,
): { readonly answer: Answer; readonly index: number } {
  if (peers === 'any') return { answer: 'yes', index: -1 };
  let best: { answer: Answer; index: number } = { answer: 'no', index: -1 };
  for (const [index, peer] of peers.entries()) {
    const found = matchesPeer(world, peer, party);
    if (found === 'yes') return { answer: 'yes', index };
    if (found === 'unknown' && best.answer === 'no') best = { answer: 'unknown', index };
  }
  return best;
}

/** `party` with only the addresses over which it can meet `other`; with its own where it would be left with none. */
function narrow(party: Party, other: Party): Party {
  if ((party.kind !== 'pod' && party.kind !== 'host') || party.addresses.length < 2) return party;
  const families = new Set(addressesOf(other).map(familyOf));
  const addresses = party.addresses.filter((a) => families.has(familyOf(a)));
  return addresses.length === 0 || addresses.length === party.addresses.length ? party : { ...party, addresses };
}

/** Two parties with only the addresses of the families that both have. */
export function inCommonFamilies(from: Party, to: Party): readonly [Party, Party] {
  return [narrow(from, to), narrow(to, from)];
}
