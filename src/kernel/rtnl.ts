import type { Address, Family } from '../addr/address.ts';
import { decodeAddress, listAddresses } from './addresses.ts';
import type { InterfaceAddress } from './addresses.ts';
import { isKernelError } from './kernel-error.ts';
import { decodeLink, getLink, listLinks } from './links.ts';
import type { Link, LinkRef } from './links.ts';
import { decodeNeighbour, listNeighbours } from './neighbours.ts';
import type { Neighbour } from './neighbours.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './netlink.ts';
import { decodeRoute, listRoutes, lookUpRoute, pathOf } from './routes.ts';
import type { Path, Route, Way } from './routes.ts';

/**
 * Links, addresses, neighbours and routes of one network namespace. Changes are requests that `links.ts`,
 * `addresses.ts`, `neighbours.ts` and `routes.ts` build; `apply` sends any number of them at once.
 */
export class Rtnl {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens it for this thread's network namespace, or for `netns` (a path or an open descriptor). */
  static open(options: { readonly netns?: string | number } = {}): Rtnl {
    return new Rtnl(NetlinkSocket.open(NETLINK_ROUTE, options));
  }

  /**
   * Carries out all `requests`, in order, in one system call.
   *
   * @throws KernelError of the first that failed; the others, also later ones, were carried out nevertheless.
   */
  apply(...requests: readonly NetlinkRequest[]): void {
    this.#socket.batch(requests);
  }

  /** `apply` on another thread, for what takes long. Nothing else may be asked of this object meanwhile. */
  applyAsync(...requests: readonly NetlinkRequest[]): Promise<void> {
    return this.#socket.batchAsync(requests);
  }

  /** Carries out `requests` and gives the interface `link` as it is after them, in one system call. */
  applyAndGet(requests: readonly NetlinkRequest[], link: LinkRef): Link {
    const found: Link[] = [];
    this.#socket.batch([...requests, getLink(link)], (message) => found.push(...oneLink(message)));
    return first(found, link);
  }

  /** `applyAndGet` on another thread. Nothing else may be asked of this object meanwhile. */
  async applyAndGetAsync(requests: readonly NetlinkRequest[], link: LinkRef): Promise<Link> {
    const found: Link[] = [];
    await this.#socket.batchAsync([...requests, getLink(link)], (message) => found.push(...oneLink(message)));
    return first(found, link);
  }

  /** The interface of this name or index, undefined when there is none. */
  link(link: LinkRef): Link | undefined {
    try {
      return this.applyAndGet([], link);
    } catch (error) {
      if (isKernelError(error, 'ENODEV')) return undefined;
      throw error;
    }
  }

  links(): Link[] {
    return this.#socket.dump(listLinks(), decodeLink);
  }

  addresses(family?: Family): InterfaceAddress[] {
    return this.#socket.dump(listAddresses(family), decodeAddress);
  }

  neighbours(family?: Family): Neighbour[] {
    return this.#socket.dump(listNeighbours(family), decodeNeighbour);
  }

  /** The routes of the main table, those of one protocol number only if one is given. */
  routes(filter: { readonly family?: Family; readonly protocol?: number } = {}): Route[] {
    return this.#socket
      .dump(listRoutes(filter), decodeRoute)
      .filter((route) => filter.protocol === undefined || route.protocol === filter.protocol);
  }

  /** Which way packets to each of `addresses` go; `local` is an address on an interface and ready. */
  ways(addresses: readonly Address[]): readonly Way[] {
    return this.paths(addresses).map(({ way }) => way);
  }

  /** The same with the interface that packets leave by. */
  paths(addresses: readonly Address[]): readonly Path[] {
    const paths = addresses.map((): Path => ({ way: 'none' }));
    this.#socket.batch(addresses.map(lookUpRoute), (message, index) => {
      paths[index] = pathOf(message);
    });
    return paths;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function oneLink(message: MessageView): Link[] {
  const link = decodeLink(message);
  return link === undefined ? [] : [link];
}

function first(links: readonly Link[], link: LinkRef): Link {
  if (links[0] === undefined) throw new Error(`the kernel did not describe the interface ${link}`);
  return links[0];
}
