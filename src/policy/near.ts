import type { Answer } from '../objects/selector.ts';
import { matchesPeers, matchesPorts, type Labelled, type Port } from './match.ts';
import { policyName, type Direction, type Policy, type PortMatch, type Rule } from './model.ts';
import { partyName, type Party } from './party.ts';

/** The most near misses that a reason lists. */
export const MAX_NEAR = 10;

/** One connection as one of its ends sees it. */
export interface Attempt {
  readonly world: Labelled;
  readonly direction: Direction;
  /** The end that policies select in this direction, and the other. */
  readonly subject: Party;
  readonly peer: Party;
  /** The end that has the port. */
  readonly destination: Party;
  readonly port: Port;
}

/** `TCP/80`, `ICMP`. */
export function portName(port: Port): string {
  return port.protocol === 'ICMP' ? 'ICMP' : `${port.protocol}/${port.port}`;
}

/** `TCP/80`, `UDP/dns`, `any SCTP`. */
export function portMatchName({ protocol, ports }: PortMatch): string {
  if (ports === 'any') return `any ${protocol}`;
  if ('name' in ports) return `${protocol}/${ports.name}`;
  return ports.from === ports.to ? `${protocol}/${ports.from}` : `${protocol}/${ports.from}-${ports.to}`;
}

function portsFault(rule: Rule, { port }: Attempt, found: Answer): string {
  if (found === 'unknown') return `the ports of the destination are not known yet`;
  const allowed = rule.ports === 'any' ? 'any' : rule.ports.map(portMatchName).join(', ');
  return `${portName(port)} is not among its ports (${allowed === '' ? 'none' : allowed})`;
}

function peersFault(rule: Rule, { peer }: Attempt, found: Answer): string {
  if (found === 'unknown') return `not enough is known yet of ${partyName(peer)}`;
  return rule.peers.length === 0 ? 'it has no peers' : `${partyName(peer)} is not among its peers`;
}

interface Miss {
  /** The less, the nearer. */
  readonly distance: number;
  readonly text: string;
}

const DISTANCE: Readonly<Record<Answer, number>> = { yes: 0, unknown: 1, no: 3 };

function ruleMiss(name: string, rule: Rule, attempt: Attempt): Miss {
  const peers = matchesPeers(attempt.world, rule.peers, attempt.peer).answer;
  const ports = matchesPorts(rule.ports, attempt.port, attempt.destination);
  const faults = [
    ...(peers === 'yes' ? [] : [peersFault(rule, attempt, peers)]),
    ...(ports === 'yes' ? [] : [portsFault(rule, attempt, ports)]),
  ];
  const half = faults.length === 1 && peers === 'yes' ? 'right peer, but ' : '';
  const otherHalf = faults.length === 1 && ports === 'yes' && rule.ports !== 'any' ? 'right port, but ' : '';
  // A wrong port is nearer than a wrong peer: that is the mistake people make.
  const distance = 2 * DISTANCE[peers] + DISTANCE[ports];
  return { distance, text: `${name} ${rule.field}: ${half}${otherHalf}${faults.join(' and ')}` };
}

/**
 * Why each of `policies` does not allow `attempt`, the nearest miss first, at most MAX_NEAR.
 * `policies` are those that select the subject (`yes`) or may (`unknown`).
 */
export function nearMisses(
  attempt: Attempt,
  policies: readonly { policy: Policy; subject: Answer }[],
): readonly string[] {
  const misses = policies.flatMap(({ policy, subject }): readonly Miss[] => {
    const name = policyName(policy);
    const rules = policy[attempt.direction];
    if (rules.length === 0) return [{ distance: 11, text: `${name}: allows no ${attempt.direction}` }];
    if (subject === 'unknown') {
      return [{ distance: 10, text: `${name}: whether it selects ${partyName(attempt.subject)} is not known yet` }];
    }
    return rules.map((rule) => ruleMiss(name, rule, attempt));
  });
  return misses
    .sort((a, b) => a.distance - b.distance || (a.text < b.text ? -1 : Number(a.text > b.text)))
    .slice(0, MAX_NEAR)
    .map((miss) => miss.text);
}
