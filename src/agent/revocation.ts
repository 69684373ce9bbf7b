import type { Address } from '../addr/address.ts';
import type { ConntrackEntry } from '../kernel/conntrack.ts';
import { REVOKED_MARK } from '../plan/revoked-mark.ts';
import { evaluate, type Port, type World } from '../policy/evaluate.ts';
import type { Party } from '../policy/party.ts';

/** What the oracle needs in order to judge the connections of one host. */
export interface Bench {
  readonly world: World;
  /** Who an address is today. */
  readonly partyOf: (address: Address) => Party;
  /** Whether an address belongs to an endpoint of this host: the only ones judged here. */
  readonly isLocal: (address: Address) => boolean;
}

/** The connections whose verdict has turned. */
export interface Revocation {
  /** Forbidden now and not marked yet. */
  readonly cut: readonly ConntrackEntry[];
  /** Marked, but allowed again: without the mark they go on. (TCP could not begin anew in the middle, without a SYN.) */
  readonly pardon: readonly ConntrackEntry[];
  /** Forbidden by what is known, but with pods of which more is about to be known; none unless that is waited for. */
  readonly undecided: readonly ConntrackEntry[];
}

const PROTOCOLS = new Map<number, 'TCP' | 'UDP' | 'SCTP' | 'ICMP'>([
  [1, 'ICMP'],
  [6, 'TCP'],
  [17, 'UDP'],
  [58, 'ICMP'],
  [132, 'SCTP'],
]);

/**
 * Finds the open connections of this host's endpoints whose verdict differs from their mark. Both ends are taken as
 * policy sees them: the source before SNAT (`orig.src`) and the destination after DNAT (`reply.src`). Egress is judged
 * on the source's host and ingress on the destination's, as in the ruleset.
 *
 * @param patient whether pods that only their addresses' bits tell of are about to be known: what is forbidden alone for
 *   all that they may be is undecided then.
 */
export function findRevocations(
  entries: Iterable<ConntrackEntry>,
  bench: Bench,
  { patient = false }: { readonly patient?: boolean } = {},
): Revocation {
  const cut: ConntrackEntry[] = [];
  const pardon: ConntrackEntry[] = [];
  const undecided: ConntrackEntry[] = [];
  const judged = new Map<string, boolean>();
  for (const entry of entries) {
    const from = entry.orig.src;
    const to = entry.reply.src;
    if (!bench.isLocal(from) && !bench.isLocal(to)) continue;
    const port = policyPort(entry.protocol, entry.reply.sport);
    const key = `${from} ${to} ${port.protocol} ${port.protocol === 'ICMP' ? '' : port.port}`;
    let forbidden = judged.get(key);
    if (forbidden === undefined) {
      forbidden = isForbidden(bench, from, to, port);
      judged.set(key, forbidden);
    }
    const marked = (entry.mark & REVOKED_MARK) !== 0;
    if (forbidden && !marked)
      (patient && [from, to].some((end) => isPartlyKnown(bench, end)) ? undecided : cut).push(entry);
    if (!forbidden && marked) pardon.push(entry);
  }
  return { cut, pardon, undecided };
}

/** Whether the labels of whose address this is are not known, or not all of them. */
function isPartlyKnown(bench: Bench, address: Address): boolean {
  const party = bench.partyOf(address);
  return party.kind === 'unknown' || (party.kind === 'pod' && party.known !== 'all');
}

function isForbidden(bench: Bench, from: Address, to: Address, port: Port): boolean {
  const decision = evaluate(bench.world, bench.partyOf(from), bench.partyOf(to), port);
  return (
    (bench.isLocal(from) && decision.egress.verdict === 'deny') ||
    (bench.isLocal(to) && decision.ingress.verdict === 'deny')
  );
}

/** The port as policy sees it; a protocol without ports is like ICMP: only rules for any port allow it. */
export function policyPort(protocolNumber: number, port: number): Port {
  const protocol = PROTOCOLS.get(protocolNumber) ?? 'ICMP';
  return protocol === 'ICMP' ? { protocol } : { protocol, port };
}
