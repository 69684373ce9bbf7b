import { type Cidr, cidrBase } from '../addr/cidr.ts';
import type { Link } from '../kernel/links.ts';
import { setNeighbour } from '../kernel/neighbours.ts';
import type { NetlinkRequest } from '../kernel/netlink-codec.ts';
import { deleteRoute, formatRoute, replaceRoute, ROMANA_PROTOCOL, type Route } from '../kernel/routes.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Log } from '../lib/log.ts';
import type { DesiredRoute } from '../plan/routes.ts';

/** What host routes stand on. */
export interface HostRoutesOptions {
  readonly rtnl: Pick<Rtnl, 'apply' | 'links' | 'neighbours' | 'routes'>;
  readonly log: Log;
  /** Hears of each route that was added, replaced or removed. */
  readonly onChange: () => void;
  /** Hears how many routes and neighbours of ours others had taken away. */
  readonly onRepair: (what: 'routes' | 'neighbours', count: number) => void;
}

/** How many of what was repaired the log names. */
const NAMED = 8;

/**
 * The routes that this agent keeps in the kernel: other hosts' ranges, the own range, and local pods with their
 * neighbours. It remembers what it put there, and looks at the kernel at the start and when it is told to.
 */
export class HostRoutes {
  readonly #options: HostRoutesOptions;
  /** What is in the kernel, by destination; undefined until it was read once. */
  #applied: ReadonlyMap<Cidr, DesiredRoute> | undefined;
  #trusted = false;

  constructor(options: HostRoutesOptions) {
    this.#options = options;
  }

  /** The next `apply` reads what the kernel has, since others may have changed it. */
  recheck(): void {
    this.#trusted = false;
  }

  /**
   * Brings the kernel's routes to `desired`. Where the kernel was read, routes under our protocol number that nobody
   * wants go, and what pods' links lack comes back; else what differs from the last time is changed, and routes of pods
   * (`dev`) are left to their links, with which they come and go.
   *
   * @returns what the kernel refused, to be tried again; the other routes are as desired.
   */
  apply(desired: readonly DesiredRoute[]): readonly unknown[] {
    const wanted = new Map(desired.map((route) => [route.dst, route]));
    const errors: unknown[] = [];
    const applied = new Map(this.#trusted ? this.#applied : this.#read(wanted, errors));
    this.#trusted = errors.length === 0;
    for (const [dst, route] of applied) {
      if (wanted.has(dst)) continue;
      const gone = route.dev !== undefined || this.#try(errors, deleteRoute(bare(route)));
      if (gone) applied.delete(dst);
    }
    for (const [dst, route] of wanted) {
      const known = applied.get(dst);
      if (known !== undefined && same(known, route)) continue;
      if (route.dev !== undefined || this.#try(errors, replaceRoute(bare(route)))) applied.set(dst, route);
    }
    this.#applied = applied;
    return errors;
  }

  /** Removes our routes that nobody wants and gives pods' links what they lack. @returns what the kernel has then */
  #read(wanted: ReadonlyMap<Cidr, DesiredRoute>, errors: unknown[]): Map<Cidr, DesiredRoute> {
    const links = this.#options.rtnl.links();
    const present = this.#sweep(wanted, links, errors);
    const lost = [...wanted.values()].filter((route) => this.#wasThere(route) && !present.has(route.dst));
    const byName = new Map(links.map((link) => [link.name, link]));
    const lostOfPods = this.#mendPods(wanted, present, byName, errors);
    this.#tell(
      'routes',
      lost.filter((route) => route.dev === undefined || lostOfPods.routes.has(route.dst)),
    );
    this.#tell('neighbours', lostOfPods.neighbours);
    return present;
  }

  #sweep(wanted: ReadonlyMap<Cidr, DesiredRoute>, links: readonly Link[], errors: unknown[]): Map<Cidr, DesiredRoute> {
    const names = new Map(links.map(({ index, name }) => [index, name]));
    const present = new Map<Cidr, DesiredRoute>();
    for (const route of this.#options.rtnl.routes({ protocol: ROMANA_PROTOCOL })) {
      const want = wanted.get(route.dst);
      if (want !== undefined && isAs(want, route, names)) {
        present.set(route.dst, want);
      } else if (want === undefined || want.dev !== undefined) {
        this.#options.log.info({ route: formatRoute(route) }, 'removes a route of ours that nobody wants any more');
        this.#try(errors, deleteRoute(route));
      }
    }
    return present;
  }

  /** Puts back routes and neighbours of pods whose links are up. An ADD that is under way sees to its own. */
  #mendPods(
    wanted: ReadonlyMap<Cidr, DesiredRoute>,
    present: Map<Cidr, DesiredRoute>,
    links: ReadonlyMap<string, Link>,
    errors: unknown[],
  ): { readonly routes: ReadonlySet<Cidr>; readonly neighbours: readonly DesiredRoute[] } {
    const routes = new Set<Cidr>();
    const neighbours: DesiredRoute[] = [];
    const known = this.#permanentNeighbours();
    for (const route of wanted.values()) {
      if (route.dev === undefined) continue;
      const there = present.has(route.dst);
      present.set(route.dst, route);
      const link = links.get(route.dev);
      if (link?.up !== true) continue;
      const address = cidrBase(route.dst);
      if (!there && this.#try(errors, replaceRoute({ ...bare(route), dev: link.index }))) routes.add(route.dst);
      if (route.mac === undefined || known.get(`${link.index} ${address}`) === route.mac) continue;
      if (this.#try(errors, setNeighbour(link.index, address, route.mac)) && this.#wasThere(route)) {
        neighbours.push(route);
      }
    }
    return { routes, neighbours };
  }

  #permanentNeighbours(): ReadonlyMap<string, string> {
    const permanent = this.#options.rtnl.neighbours().filter((neighbour) => neighbour.permanent);
    return new Map(permanent.map(({ index, address, mac }) => [`${index} ${address}`, mac]));
  }

  #wasThere(route: DesiredRoute): boolean {
    const known = this.#applied?.get(route.dst);
    return known !== undefined && same(known, route);
  }

  #tell(what: 'routes' | 'neighbours', lost: readonly DesiredRoute[]): void {
    if (lost.length === 0) return;
    const named = lost.slice(0, NAMED).map(({ dst }) => dst);
    this.#options.log.warn({ count: lost.length, destinations: named }, `puts back ${what} of ours that were gone`);
    this.#options.onRepair(what, lost.length);
  }

  #try(errors: unknown[], request: NetlinkRequest): boolean {
    try {
      this.#options.rtnl.apply(request);
      this.#options.onChange();
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

/** Whether the kernel's `route` is the one that is wanted. */
function isAs(want: DesiredRoute, route: Route, names: ReadonlyMap<number, string>): boolean {
  if (want.kind !== route.kind || want.via !== route.via) return false;
  return want.dev === undefined || (route.dev !== undefined && names.get(route.dev) === want.dev);
}
