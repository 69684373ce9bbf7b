import type { Policy, PortMatch, Protocol } from './model.ts';
import type { TriedPort } from './verdict-table.ts';

/** Ports that no policy tells from one another, by one of them. */
export interface PortSpan {
  /** The one that is tried. */
  readonly port: TriedPort;
  readonly protocol: Protocol | 'ICMP';
  /** 1 to 65535, both inclusive; 0 for ICMP. */
  readonly from: number;
  readonly to: number;
}

const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const MAX_PORT = 65_535;

function portsOf(policies: readonly Policy[]): readonly PortMatch[] {
  const rules = policies.flatMap(({ ingress, egress }) => [...ingress, ...egress]);
  return rules.flatMap(({ ports }) => (ports === 'any' ? [] : ports));
}

/**
 * All ports of all protocols, and ping, cut wherever a rule of `policies` begins or ends, and around `singles`: the
 * ports that names may stand for.
 */
export function comparedPorts(
  policies: readonly Policy[],
  singles: readonly { readonly protocol: Protocol; readonly port: number }[],
): readonly PortSpan[] {
  const matches = portsOf(policies);
  const spans = PROTOCOLS.flatMap((protocol): readonly PortSpan[] => {
    const starts = new Set([1]);
    for (const match of matches) {
      if (match.protocol !== protocol || match.ports === 'any' || 'name' in match.ports) continue;
      starts.add(match.ports.from).add(match.ports.to + 1);
    }
    for (const single of singles) if (single.protocol === protocol) starts.add(single.port).add(single.port + 1);
    const sorted = [...starts].filter((start) => start <= MAX_PORT).sort((a, b) => a - b);
    return sorted.map((from, i) => {
      return { port: { protocol, port: from }, protocol, from, to: (sorted[i + 1] ?? MAX_PORT + 1) - 1 };
    });
  });
  return [...spans, { port: { protocol: 'ICMP' }, protocol: 'ICMP', from: 0, to: 0 }];
}

/** Spans as text, in their order: `TCP/80`, `UDP/1-52`, all of a protocol as `SCTP`, everything as `everything`. */
export function spansText(all: readonly PortSpan[], some: ReadonlySet<PortSpan>): readonly string[] {
  if (some.size === all.length) return ['everything'];
  const texts: string[] = [];
  let open: PortSpan | undefined;
  const close = (): void => {
    if (open === undefined) return;
    const { protocol, from, to } = open;
    if (protocol === 'ICMP' || (from === 1 && to === MAX_PORT)) texts.push(protocol);
    else texts.push(from === to ? `${protocol}/${from}` : `${protocol}/${from}-${to}`);
    open = undefined;
  };
  for (const span of all) {
    if (!some.has(span)) continue;
    if (open?.protocol === span.protocol && open.to + 1 === span.from) open = { ...open, to: span.to };
    else {
      close();
      open = span;
    }
  }
  close();
  return texts;
}
