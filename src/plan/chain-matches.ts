import { familyOf, type Address, type Family } from '../addr/address.ts';
import type { Plan } from '../addr/plan.ts';
import type { Direction, Policy, Rule } from '../policy/model.ts';
import type { CidrRule } from './cidr-nodes.ts';
import type { PeerCompiler, PeerWatch } from './peers.ts';
import { mergePorts, portNames, portSet } from './ports.ts';
import type { PortNames, PortRange, PortSet } from './ports.ts';

/** How a chain looks up a peer's address: what the tenant's or the segment's mask leaves of it, or all of it. */
export type Lookup = 'tenant' | 'segment' | 'address';

/** Peers that stand in a set which all chains share, with the ports that one rule opens to them. */
export interface SharedPeers {
  readonly key: string;
  readonly addresses: ReadonlyMap<Family, readonly Address[]>;
  readonly ports: PortSet;
}

/** Destinations of egress by the name of a port, in a set that all chains share. */
export interface NamedPorts {
  readonly key: string;
  readonly elements: ReadonlyMap<Family, readonly string[]>;
}

/** Ports that many rules open, put together once. */
class PortUnion {
  readonly #added: PortSet[] = [];
  #merged: PortSet | undefined;

  add(ports: PortSet): void {
    this.#merged = this.#added.length === 0 ? ports : undefined;
    this.#added.push(ports);
  }

  get ports(): PortSet {
    this.#merged ??= this.#added.includes('any') ? 'any' : mergePorts(this.#added.flatMap(rangesOf));
    return this.#merged;
  }
}

/** What the rules of some policies allow in one direction, ordered by the kind of lookup that finds it. */
export class ChainMatches {
  readonly named = new Map<string, NamedPorts>();
  readonly watches: PeerWatch[] = [];
  readonly #open = new PortUnion();
  readonly #shared = new Map<string, Omit<SharedPeers, 'ports'> & { readonly union: PortUnion }>();
  readonly #cidrs: CidrRule[] = [];
  readonly #lookups = new Map<string, Map<Address, PortUnion>>();

  /** Ports open to everybody. */
  get open(): PortSet {
    return this.#open.ports;
  }

  get shared(): readonly SharedPeers[] {
    return Array.from(this.#shared.values(), ({ key, addresses, union }) => ({ key, addresses, ports: union.ports }));
  }

  /** Peers by CIDR. */
  get cidrs(): readonly CidrRule[] {
    return this.#cidrs;
  }

  /** The peers that `lookup` finds, with their ports. */
  lookup(lookup: Lookup, family: Family): readonly (readonly [Address, PortSet])[] {
    return Array.from(this.#lookups.get(`${lookup}${family}`) ?? [], ([value, { ports }]) => [value, ports]);
  }

  /** Whether `lookup` finds anybody. */
  has(lookup: Lookup, family: Family): boolean {
    return this.#lookups.has(`${lookup}${family}`);
  }

  /** Opens `ports` to everybody. */
  addOpen(ports: PortSet): void {
    this.#open.add(ports);
  }

  /** Opens `ports` to the peers that `lookup` finds by these values. */
  add(lookup: Lookup, family: Family, values: readonly Address[], ports: PortSet): void {
    if (values.length === 0 || ports.length === 0) return;
    const key = `${lookup}${family}`;
    const map = this.#lookups.get(key) ?? new Map<Address, PortUnion>();
    for (const value of values) {
      const union = map.get(value) ?? new PortUnion();
      union.add(ports);
      map.set(value, union);
    }
    this.#lookups.set(key, map);
  }

  /** Opens `ports` to the peers of a set that all chains share; equal keys stand for equal addresses. */
  addShared(key: string, addresses: SharedPeers['addresses'], ports: PortSet): void {
    const before = this.#shared.get(key) ?? { key, addresses, union: new PortUnion() };
    before.union.add(ports);
    this.#shared.set(key, before);
  }

  /** Opens ports to what a CIDR holds. */
  addCidr(rule: CidrRule): void {
    this.#cidrs.push(rule);
  }
}

/**
 * Reads the rules of `policies` for one direction. Only Accept says anything here: these are the policies of the
 * middle tier, which open. `names` resolves the named ports of the pod itself, for ingress.
 */
export function chainMatches(
  policies: readonly Policy[],
  direction: Direction,
  by: { readonly peers: PeerCompiler; readonly plans: readonly Plan[]; readonly names: PortNames },
): ChainMatches {
  const matches = new ChainMatches();
  for (const policy of policies) {
    for (const rule of policy[direction]) {
      if (rule.action !== 'Accept') continue;
      const names = direction === 'ingress' ? by.names : noNames;
      addRule(matches, rule, portSet(rule.ports, names), by);
      if (direction === 'egress') addNamed(matches, rule, by.peers);
    }
  }
  return matches;
}

function addRule(
  matches: ChainMatches,
  rule: Rule,
  ports: PortSet,
  by: { readonly peers: PeerCompiler; readonly plans: readonly Plan[] },
): void {
  if (ports.length === 0) return;
  if (rule.peers === 'any') {
    matches.addOpen(ports);
    return;
  }
  for (const peer of rule.peers) {
    if (peer.kind === 'cidrs') {
      for (const block of peer.blocks) matches.addCidr({ ...block, ports });
      continue;
    }
    if (peer.kind === 'nodes') {
      const addresses = by.peers.nodeAddresses(peer.selector);
      for (const { family } of by.plans) {
        matches.add(
          'address',
          family,
          addresses.filter((address) => familyOf(address) === family),
          ports,
        );
      }
      continue;
    }
    const compiled = by.peers.compile(peer.selection);
    matches.watches.push(...compiled.watches);
    const exact = new Map<Family, readonly Address[]>();
    for (const { family } of by.plans) {
      const found = compiled.byFamily.get(family);
      if (found === undefined) continue;
      matches.add('tenant', family, found.tenants, ports);
      matches.add('segment', family, found.segments, ports);
      if (compiled.shared === undefined) matches.add('address', family, found.exact, ports);
      else exact.set(family, found.exact);
    }
    if (compiled.shared !== undefined) matches.addShared(compiled.shared, exact, ports);
  }
}

/** A port by name towards others is the port of that name that each of them has, so they are named one by one. */
function addNamed(matches: ChainMatches, rule: Rule, peers: PeerCompiler): void {
  for (const port of portNames(rule.ports)) {
    const { elements, watches } = peers.namedPorts(rule.peers, port);
    const key = `${port.protocol}/${port.name} of ${JSON.stringify(rule.peers, mapsAsLists)}`;
    matches.named.set(key, { key, elements });
    matches.watches.push(...watches);
  }
}

function rangesOf(ports: PortSet): readonly PortRange[] {
  return ports === 'any' ? [] : ports;
}

function mapsAsLists(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

function noNames(): readonly number[] {
  return [];
}
