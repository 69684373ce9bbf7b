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

/** What lists of ports without names come to, which is the same for every pod. */
const numbered = new WeakMap<readonly PortMatch[], PortSet>();

/** The ports that `matches` names. Names that resolve to nothing open nothing. */
export function portSet(matches: readonly PortMatch[] | 'any', names: PortNames): PortSet {
  if (matches === 'any') return 'any';
  const before = numbered.get(matches);
  if (before !== undefined) return before;
  const ports = mergePorts(matches.flatMap((match) => rangesOf(match, names)));
  if (portNames(matches).length === 0) numbered.set(matches, ports);
  return ports;
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

/** So many ports in a row as have the same leading bits: those that `port & mask` leaves `base` of. */
export interface PortBlock {
  readonly protocol: Protocol;
  readonly base: number;
  /** How many of the 16 bits may be anything: 0 is one port, 16 all of them. */
  readonly bits: number;
}

/** Ranges of at most so many ports are named port by port: elements are cheap, each size of blocks is a lookup. */
const FEW_PORTS = 256;

/**
 * Blocks that hold exactly these ports, at most 30 where there are many, so that ports can be looked up in sets without
 * intervals. Port 0 is nobody's (RFC 6335) and counts as one of a range that begins with 1.
 */
export function portBlocks({ protocol, from, to }: PortRange): readonly PortBlock[] {
  if (to - from < FEW_PORTS) {
    return Array.from({ length: to - from + 1 }, (_, n) => ({ protocol, base: from + n, bits: 0 }));
  }
  const blocks: PortBlock[] = [];
  for (let base = from === 1 && to > 1 ? 0 : from; base <= to;) {
    let bits = 0;
    while (bits < 16 && base % (2 << bits) === 0 && base + (2 << bits) - 1 <= to) bits += 1;
    blocks.push({ protocol, base, bits });
    base += 1 << bits;
  }
  return blocks;
}

/** Equal for equal ports: `any`, or `tcp . 80, udp . 5000-5010`. */
export function portsKey(ports: PortSet): string {
  if (ports === 'any') return 'any';
  return ports
    .map(({ protocol, from, to }) => `${protocol.toLowerCase()} . ${from === to ? from : `${from}-${to}`}`)
    .join(', ');
}

/**
 * Conditions of nft(8), one of which is true of a packet exactly if its port is among `ports`: '' for any port, none
 * for no port. They take no set of intervals: ranges of a few ports are named port by port.
 *
 * @param listed the words for a set of these elements; one in the rule itself without.
 */
export function portConditions(
  ports: PortSet,
  listed: (elements: readonly string[]) => string = (elements) => `{ ${elements.join(', ')} }`,
): readonly string[] {
  if (ports === 'any') return [''];
  const whole = ports.filter(isWhole).map(({ protocol }) => protocol.toLowerCase());
  const few = ports.filter((range) => range.to - range.from < NAMED_PORTS);
  const many = ports.filter((range) => !few.includes(range) && !isWhole(range));
  return [
    ...(whole.length === 0 ? [] : [`meta l4proto { ${whole.join(', ')} }`]),
    ...(few.length === 0 ? [] : [fewPorts(few.flatMap(portBlocks), listed)]),
    ...many.map(({ protocol, from, to }) => `meta l4proto ${protocol.toLowerCase()} th dport ${from}-${to}`),
  ];
}

/** Ranges of at most so many ports are looked up together with single ports in a rule. */
const NAMED_PORTS = 16;

function fewPorts(ports: readonly PortBlock[], listed: (elements: readonly string[]) => string): string {
  const [first] = ports;
  if (first !== undefined && ports.length === 1) {
    return `meta l4proto ${first.protocol.toLowerCase()} th dport ${first.base}`;
  }
  return `meta l4proto . th dport ${listed(ports.map(({ protocol, base }) => `${protocol.toLowerCase()} . ${base}`))}`;
}

/** The names among `matches` with their protocols. */
export function portNames(matches: readonly PortMatch[] | 'any'): readonly { name: string; protocol: Protocol }[] {
  if (matches === 'any') return [];
  return matches.flatMap(({ protocol, ports }) =>
    ports !== 'any' && 'name' in ports ? [{ name: ports.name, protocol }] : [],
  );
}

/** Whether all ports of the protocol are meant. */
function isWhole({ from, to }: PortRange): boolean {
  return from <= 1 && to === MAX_PORT;
}

function rangesOf({ protocol, ports }: PortMatch, names: PortNames): readonly PortRange[] {
  if (ports === 'any') return [{ protocol, from: 0, to: MAX_PORT }];
  if ('from' in ports) return ports.from <= ports.to ? [{ protocol, from: ports.from, to: ports.to }] : [];
  return names(ports.name, protocol).map((port) => ({ protocol, from: port, to: port }));
}
