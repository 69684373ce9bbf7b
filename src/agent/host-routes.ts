import type { Address } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import { deleteRoute, formatRoute, replaceRoute, ROMANA_PROTOCOL, type Route } from '../kernel/routes.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import { readSysctl, writeSysctl } from '../kernel/sysctl.ts';
import type { Log } from '../lib/log.ts';
import type { DesiredRoute } from '../plan/routes.ts';

/** The interfaces that hold the host's own addresses. */
export interface Underlay {
  readonly names: readonly string[];
  /** The smallest of theirs, in bytes. */
  readonly mtu: number;
}

/** What a link without a known underlay is given: what Ethernet has carried at least since RFC 894. */
const ETHERNET_MTU = 1500;
const LOOPBACK = 'lo';

/** Finds the interfaces with one of `addresses`. */
export function findUnderlay(rtnl: Rtnl, addresses: readonly Address[]): Underlay {
  const own = new Set(addresses);
  const indexes = new Set(
    rtnl
      .addresses()
      .filter(({ address }) => own.has(address))
      .map(({ index }) => index),
  );
  const links = rtnl.links().filter(({ index, name }) => indexes.has(index) && name !== LOOPBACK);
  return {
    names: links.map(({ name }) => name),
    mtu: links.length === 0 ? ETHERNET_MTU : Math.min(...links.map(({ mtu }) => mtu)),
  };
}

/**
 * Lets the host forward packets. An uplink that takes router advertisements only because the host is no router
 * (accept_ra 1, ip-sysctl) is told to go on first, or the node would lose its default route.
 */
export function enableForwarding(underlay: Underlay): void {
  for (const name of underlay.names) {
    const path = `net/ipv6/conf/${name}/accept_ra`;
    if (readSysctl(path) === '1') writeSysctl(path, 2);
  }
  for (const path of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) {
    const now = readSysctl(path);
    if (now !== undefined && now !== '1') writeSysctl(path, 1);
  }
}

/** The routes that this agent keeps in the kernel: other hosts' ranges, the own range, and local pods at the start. */
export class HostRoutes {
  readonly #rtnl: Rtnl;
  readonly #log: Log;
  readonly #count: (changes: number) => void;
  /** What is in the kernel, by destination; undefined until it was read once. */
  #applied: Map<Cidr, DesiredRoute> | undefined;

  /** @param count hears how many routes were changed. */
  constructor(rtnl: Rtnl, log: Log, count: (changes: number) => void) {
    this.#rtnl = rtnl;
    this.#log = log;
    this.#count = count;
  }

  /**
   * Brings the kernel's routes to `desired`. The first call reads what is there and removes those of ours that nobody
   * wants any more; later ones change what differs. Routes of pods (`dev`) come and go with their links, so that only
   * the first call sees to them.
   *
   * @returns what the kernel refused, to be tried again; the other routes are as desired.
   */
  apply(desired: readonly DesiredRoute[]): readonly unknown[] {
    const wanted = new Map(desired.map((route) => [route.dst, route]));
    const errors: unknown[] = [];
    if (this.#applied === undefined) {
      this.#applied = new Map();
      errors.push(...this.#sweep(wanted));
    }
    const applied = this.#applied;
    for (const [dst, route] of applied) {
      if (wanted.has(dst)) continue;
      const gone = route.dev !== undefined || this.#try(errors, () => this.#rtnl.apply(deleteRoute(bare(route))));
      if (gone) applied.delete(dst);
    }
    for (const [dst, route] of wanted) {
      const known = applied.get(dst);
      if (known !== undefined && same(known, route)) continue;
      if (route.dev !== undefined || this.#try(errors, () => this.#rtnl.apply(replaceRoute(bare(route))))) {
        applied.set(dst, route);
      }
    }
    return errors;
  }

  /** Removes our routes that nobody wants, and puts back those of pods whose links are there. */
  #sweep(wanted: ReadonlyMap<Cidr, DesiredRoute>): unknown[] {
    const errors: unknown[] = [];
    const names = new Map(this.#rtnl.links().map(({ index, name }) => [index, name]));
    const indexes = new Map([...names].map(([index, name]) => [name, index]));
    const present = new Set<Cidr>();
    for (const route of this.#rtnl.routes({ protocol: ROMANA_PROTOCOL })) {
      const want = wanted.get(route.dst);
      const dev = route.dev === undefined ? undefined : names.get(route.dev);
      const fits = want?.dev === undefined ? want !== undefined : want.dev === dev && want.kind === route.kind;
      if (fits) {
        present.add(route.dst);
        continue;
      }
      this.#log.info({ route: formatRoute(route) }, 'removes a route of ours that nobody wants any more');
      this.#try(errors, () => this.#rtnl.apply(deleteRoute(route)));
    }
    for (const route of wanted.values()) {
      const dev = route.dev === undefined ? undefined : indexes.get(route.dev);
      if (dev === undefined || present.has(route.dst)) continue;
      this.#try(errors, () => this.#rtnl.apply(replaceRoute({ ...bare(route), dev })));
    }
    return errors;
  }

  #try(errors: unknown[], act: () => void): boolean {
    try {
      act();
      this.#count(1);
      return true;
    } catch (error) {
      errors.push(error);
      return false;
    }
  }
}

function bare({ kind, dst, via }: DesiredRoute): Route {
  return { kind, dst, protocol: ROMANA_PROTOCOL, ...(via === undefined ? {} : { via }) };
}

function same(a: DesiredRoute, b: DesiredRoute): boolean {
  return a.kind === b.kind && a.via === b.via && a.dev === b.dev;
}
