import type { PortMatch, Protocol } from '../policy/model.ts';

/** Destination ports of one protocol, both ends included. */
export interface PortRange {
  readonly protocol: Protocol;
  readonly from: number;
  readonly to: number;
}

/** All ports and protocols, ICMP among them, or these only: disjoint, apart from each other, sorted. */
export type PortSet = 'any' | readonly PortRange[];

/** How a name is resolved to the ports of one pod. */
export type PortNames = (name: string, protocol: Protocol) => readonly number[];

const MAX_PORT = 65_535;

/** The ports that `matches` names. Names that resolve to nothing open nothing. */
export function portSet(matches: readonly PortMatch[] | 'any', names: PortNames): PortSet {
  if (matches === 'any') return 'any';
  return mergePorts(matches.flatMap((match) => rangesOf(match, names)));
}

/** The same ports with no overlap: the kernel refuses intervals that overlap. */
export function mergePorts(ranges: readonly PortRange[]): readonly PortRange[] {
  if (ranges.length < 2) return ranges;
  const sorted = [...ranges].sort((a, b) =>
    a.protocol === b.protocol ? a.from - b.from : a.protocol < b.protocol ? -1 : 1,
  );
  const merged: PortRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last === undefined || last.protocol !== range.protocol || range.from > last.to + 1) merged.push(range);
    else if (range.to > last.to) merged[merged.length - 1] = { ...last, to: range.to };
  }
  return merged;
}

/** `tcp . 80` or `udp . 5000-5010`: an element of type inet_proto . inet_service. */
export function portText({ protocol, from, to }: PortRange): string {
  return `${protocol.toLowerCase()} . ${from === to ? from : `${from}-${to}`}`;
}

/** Whether any of them is more than one port, so that a set that holds it must be one of intervals. */
export function hasIntervals(ports: readonly PortRange[]): boolean {
  return ports.some(({ from, to }) => from !== to);
}

/** The names among `matches` with their protocols. */
export function portNames(matches: readonly PortMatch[] | 'any'): readonly { name: string; protocol: Protocol }[] {
  if (matches === 'any') return [];
  return matches.flatMap(({ protocol, ports }) =>
    ports !== 'any' && 'name' in ports ? [{ name: ports.name, protocol }] : [],
  );
}

function rangesOf({ protocol, ports }: PortMatch, names: PortNames): readonly PortRange[] {
  if (ports === 'any') return [{ protocol, from: 0, to: MAX_PORT }];
  if ('from' in ports) return ports.from <= ports.to ? [{ protocol, from: ports.from, to: ports.to }] : [];
  return names(ports.name, protocol).map((port) => ({ protocol, from: port, to: port }));
}
