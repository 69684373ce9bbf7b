import type { Cluster, Endpoint } from './cluster.ts';
import { evaluate } from './evaluate.ts';
import { portAt, VerdictTable, type TriedPort } from './verdict-table.ts';

/** Who may reach whom on one port: one text a source, one character a destination, in the order of the endpoints. */
export interface PortMatrix {
  readonly port: TriedPort;
  /** `.` allowed, `X` denied. The text of the source of that number. */
  row(source: number): string;
}

/** `TCP/80`, `UDP/dns`, `ICMP`. */
export function triedPortName(port: TriedPort): string {
  if ('name' in port) return `${port.protocol}/${port.name}`;
  return port.protocol === 'ICMP' ? 'ICMP' : `${port.protocol}/${port.port}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** The ports that containers of the endpoints declare, by protocol, then number. */
export function declaredPorts(endpoints: readonly Endpoint[]): readonly TriedPort[] {
  const ports = endpoints.flatMap((endpoint) => endpoint.ports);
  const distinct = new Map(ports.map(({ protocol, port }) => [`${protocol}/${port}`, { protocol, port }]));
  return [...distinct.values()].sort((a, b) => compareText(a.protocol, b.protocol) || a.port - b.port);
}

/** The endpoints that are on a pod's own host, by the host's name. */
function hostEndpoints(endpoints: readonly Endpoint[]): ReadonlyMap<string, readonly number[]> {
  const byHost = new Map<string, number[]>();
  for (const [i, { party }] of endpoints.entries()) {
    if (party.kind !== 'host' || party.name === '') continue;
    const list = byHost.get(party.name);
    if (list === undefined) byHost.set(party.name, [i]);
    else list.push(i);
  }
  return byHost;
}

/** Pairs of a pod and its own host, which classes do not tell apart: each pair of classes is asked for once. */
class OwnHosts {
  readonly #cluster: Cluster;
  readonly #port: TriedPort;
  readonly #classOf: readonly number[];
  readonly #known = new Map<string, string>();

  constructor(cluster: Cluster, port: TriedPort, classOf: readonly number[]) {
    this.#cluster = cluster;
    this.#port = port;
    this.#classOf = classOf;
  }

  mark(from: number, to: number): string {
    const key = `${this.#classOf[from]} ${this.#classOf[to]}`;
    const before = this.#known.get(key);
    if (before !== undefined) return before;
    const [source, destination] = [this.#cluster.endpoints[from], this.#cluster.endpoints[to]];
    const port = destination === undefined ? undefined : portAt(this.#port, destination);
    const allowed =
      source !== undefined &&
      destination !== undefined &&
      port !== undefined &&
      evaluate(this.#cluster.world, source.party, destination.party, port).verdict === 'allow';
    const mark = allowed ? '.' : 'X';
    this.#known.set(key, mark);
    return mark;
  }
}

function replaceAt(row: string, at: number, mark: string): string {
  return row[at] === mark ? row : row.slice(0, at) + mark + row.slice(at + 1);
}

/**
 * Who may reach whom on each of `ports`, which is what `evaluate` says of each pair. The diagonal is `.`; a named port
 * that a destination does not have is `X`.
 */
export function matrix(cluster: Cluster, ports: readonly TriedPort[]): readonly PortMatrix[] {
  const table = new VerdictTable(
    cluster,
    ports.some((port) => 'name' in port),
  );
  const { classOf } = table;
  const byHost = hostEndpoints(cluster.endpoints);
  const podsOn = new Map<string, number[]>();
  for (const [i, { party }] of cluster.endpoints.entries()) {
    if (party.kind !== 'pod' || !byHost.has(party.node)) continue;
    const list = podsOn.get(party.node);
    if (list === undefined) podsOn.set(party.node, [i]);
    else list.push(i);
  }
  return ports.map((port) => {
    const verdicts = table.verdicts(port);
    const own = new OwnHosts(cluster, port, classOf);
    const rows = new Map<number, string>();
    const rowOfClass = (one: number): string => {
      const before = rows.get(one);
      if (before !== undefined) return before;
      const allowed = verdicts[one];
      const row = classOf.map((to) => (allowed?.[to] === 1 ? '.' : 'X')).join('');
      rows.set(one, row);
      return row;
    };
    return {
      port,
      row: (source) => {
        const party = cluster.endpoints[source]?.party;
        let row = replaceAt(rowOfClass(classOf[source] ?? 0), source, '.');
        const pods = party?.kind === 'host' ? podsOn.get(party.name) : undefined;
        const hosts = party?.kind === 'pod' ? byHost.get(party.node) : undefined;
        for (const to of pods ?? hosts ?? []) row = replaceAt(row, to, own.mark(source, to));
        return row;
      },
    };
  });
}
