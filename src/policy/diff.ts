import { familyOf, type Address } from '../addr/address.ts';
import { cidrLength, contains, type Cidr } from '../addr/cidr.ts';
import { AddressRegions } from './address-regions.ts';
import type { Cluster, Endpoint } from './cluster.ts';
import { comparedPorts, spansText, type PortSpan } from './compared-ports.ts';
import { cidrsOf } from './endpoint-classes.ts';
import { matrix, triedPortName } from './matrix.ts';
import { addressesOf } from './party.ts';
import type { TriedPort } from './verdict-table.ts';

/** A pair of ends between which connections are allowed, or denied, that were not before. */
export interface ChangedPair {
  /** `namespace/pod`, `host:NODE`, or addresses that are nobody's: `192.0.2.0/24`, `outside (IPv4)`. */
  readonly from: string;
  readonly to: string;
  /** `TCP/80`, `UDP/1-52`, `SCTP`, `ICMP`, `everything`. */
  readonly ports: readonly string[];
}

/** What a change does. */
export interface Difference {
  readonly opens: readonly ChangedPair[];
  readonly closes: readonly ChangedPair[];
}

/** What the addresses of a region that is nobody's are called: the smallest CIDR of a policy that they are in. */
function regionName(address: Address, cidrs: readonly Cidr[]): string {
  const around = cidrs.filter((cidr) => cidrLength(cidr) > 0 && contains(cidr, address));
  const [smallest] = around.sort((a, b) => cidrLength(b) - cidrLength(a));
  return smallest ?? `outside (IPv${familyOf(address)})`;
}

/** One address of each region that policies tell apart, where it is nobody's. */
function outsideOf(clusters: readonly Cluster[]): readonly Endpoint[] {
  const cidrs = cidrsOf(clusters.flatMap(({ world }) => world.policies));
  const regions = new AddressRegions(cidrs);
  const owners = clusters.flatMap(({ endpoints, hosts }) => [
    ...endpoints.map(({ party }) => party),
    ...hosts.values(),
  ]);
  const taken = new Set(owners.flatMap(addressesOf));
  const addresses = [...regions.starts(4), ...regions.starts(6)].filter((address) => !taken.has(address));
  return addresses.map((address) => {
    return { name: regionName(address, cidrs), party: { kind: 'outside', address }, ports: [] };
  });
}

/** The pods and hosts of `own` that are in `other`, too, in their order. */
function common(own: Cluster, other: Cluster): readonly Endpoint[] {
  const names = new Set(other.endpoints.map(({ name }) => name));
  const hosts = [...own.hosts.values()].filter(({ name }) => other.hosts.has(name));
  return [
    ...own.endpoints.filter(({ name }) => names.has(name)),
    ...hosts.map((party): Endpoint => ({ name: `host:${party.name}`, party, ports: [] })),
  ];
}

/** The spans of ports to compare: those that were asked for one by one, or all that policies tell apart. */
function spansOf(clusters: readonly Cluster[], ports: readonly TriedPort[] | undefined): readonly PortSpan[] {
  if (ports !== undefined) {
    return ports.map((port) => ({ port, protocol: port.protocol, from: 'port' in port ? port.port : 0, to: 0 }));
  }
  const policies = clusters.flatMap(({ world }) => world.policies);
  const named = new Set(
    policies
      .flatMap(({ ingress, egress }) => [...ingress, ...egress])
      .flatMap((rule) => (rule.ports === 'any' ? [] : rule.ports))
      .flatMap((match) => (match.ports !== 'any' && 'name' in match.ports ? [match.ports.name] : [])),
  );
  const declared = clusters.flatMap(({ endpoints }) => endpoints.flatMap((endpoint) => endpoint.ports));
  return comparedPorts(
    policies,
    declared.filter(({ name }) => named.has(name)),
  );
}

/** Pairs by their two names, with the spans of ports that changed for them. */
class Changes {
  readonly #pairs = new Map<string, { readonly from: string; readonly to: string; readonly spans: Set<PortSpan> }>();

  add(from: string, to: string, span: PortSpan): void {
    const key = `${from} ${to}`;
    const pair = this.#pairs.get(key) ?? { from, to, spans: new Set() };
    pair.spans.add(span);
    this.#pairs.set(key, pair);
  }

  list(textsOf: (spans: ReadonlySet<PortSpan>) => readonly string[]): readonly ChangedPair[] {
    return Array.from(this.#pairs.values(), ({ from, to, spans }) => ({ from, to, ports: textsOf(spans) }));
  }
}

/**
 * The pairs between which `next` allows connections that `base` does not, and the other way round: pods and hosts that
 * are in both, and the addresses outside that policies tell apart. Without `ports` all ports of all protocols are
 * compared.
 */
export function diff(base: Cluster, next: Cluster, ports?: readonly TriedPort[]): Difference {
  const outside = outsideOf([base, next]);
  const spans = spansOf([base, next], ports);
  const tried = spans.map(({ port }) => port);
  const before = { ...base, endpoints: [...common(base, next), ...outside] };
  const after = { ...next, endpoints: [...common(next, base), ...outside] };
  const [was, is] = [matrix(before, tried), matrix(after, tried)];
  const names = before.endpoints.map(({ name }) => name);
  const opens = new Changes();
  const closes = new Changes();
  for (const [i, span] of spans.entries()) {
    for (const [source, from] of names.entries()) {
      const [old, now] = [was[i]?.row(source) ?? '', is[i]?.row(source) ?? ''];
      if (old === now) continue;
      for (const [destination, to] of names.entries()) {
        if (old[destination] === now[destination]) continue;
        (now[destination] === '.' ? opens : closes).add(from, to, span);
      }
    }
  }
  const textsOf = (some: ReadonlySet<PortSpan>): readonly string[] =>
    ports === undefined
      ? spansText(spans, some)
      : spans.filter((span) => some.has(span)).map(({ port }) => triedPortName(port));
  return { opens: opens.list(textsOf), closes: closes.list(textsOf) };
}
