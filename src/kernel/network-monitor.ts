import type { Address } from '../addr/address.ts';
import { decodeNeighbour, RTM_DELNEIGH } from './neighbours.ts';
import { readAttributes, readU32 } from './netlink-codec.ts';
import type { MessageView } from './netlink-codec.ts';
import { NETLINK_ROUTE } from './netlink.ts';
import { NetlinkMonitor } from './netlink-monitor.ts';
import { POD_LINK_GROUP } from './pod-wiring.ts';
import { concernsOurRoutes } from './routes.ts';

// linux/rtnetlink.h, linux/netconf.h
const RTNLGRP_LINK = 1;
const RTNLGRP_NEIGH = 3;
const RTNLGRP_IPV4_IFADDR = 5;
const RTNLGRP_IPV4_ROUTE = 7;
const RTNLGRP_IPV6_IFADDR = 9;
const RTNLGRP_IPV6_ROUTE = 11;
const RTNLGRP_IPV4_NETCONF = 24;
const RTNLGRP_IPV6_NETCONF = 25;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWNETCONF = 80;
const NETCONFA_FORWARDING = 2;
const IFLA_GROUP = 27;
const IFF_UP = 1;
/** What a link that was made is said to have changed. */
const NEW_LINK = 0xffffffff;

/** What a network monitor is told to do. */
export interface NetworkMonitorOptions {
  readonly netns?: string;
  /** Whether an address is of a pod here, whose neighbour entry is ours. */
  readonly isPod: (address: Address) => boolean;
  /** Others changed something that our routes, neighbours or forwarding may have gone with. */
  readonly onChanged: () => void;
}

/**
 * Tells when others, or the kernel itself, change links, addresses, routes, permanent neighbours or forwarding so that
 * what we put there may be gone. IPv4 routes go without a word when their interface goes down or loses its last
 * address, so that it is links that come up, and addresses, that are looked out for.
 */
export class NetworkMonitor {
  readonly #monitor: NetlinkMonitor;
  readonly #options: NetworkMonitorOptions;
  /** Interfaces that have gone down. */
  readonly #down = new Set<number>();

  /** @throws KernelError */
  constructor(options: NetworkMonitorOptions) {
    this.#options = options;
    this.#monitor = new NetlinkMonitor({
      protocol: NETLINK_ROUTE,
      groups: [
        RTNLGRP_LINK,
        RTNLGRP_NEIGH,
        RTNLGRP_IPV4_IFADDR,
        RTNLGRP_IPV4_ROUTE,
        RTNLGRP_IPV6_IFADDR,
        RTNLGRP_IPV6_ROUTE,
        RTNLGRP_IPV4_NETCONF,
        RTNLGRP_IPV6_NETCONF,
      ],
      netns: options.netns,
      onMessage: (message) => {
        if (this.#concerns(message)) options.onChanged();
      },
      onLost: () => options.onChanged(),
    });
  }

  close(): void {
    this.#monitor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #concerns(message: MessageView): boolean {
    switch (message.type) {
      case RTM_NEWLINK:
        return this.#hasComeUp(message);
      case RTM_DELLINK:
        this.#down.delete(indexOf(message));
        return false;
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return true;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return concernsOurRoutes(message);
      case RTM_DELNEIGH: {
        const neighbour = decodeNeighbour(message);
        return neighbour !== undefined && this.#options.isPod(neighbour.address);
      }
      case RTM_NEWNETCONF:
        return forwardsNoMore(message);
      default:
        return false;
    }
  }

  /** An ADD sets up the link that it has made, and puts its routes there itself: that is no news. */
  #hasComeUp(message: MessageView): boolean {
    const { buffer, start, end } = message;
    const changed = buffer.readUInt32LE(start + 12);
    if ((changed & IFF_UP) === 0 || changed === NEW_LINK) return false;
    const index = indexOf(message);
    if ((buffer.readUInt32LE(start + 8) & IFF_UP) === 0) {
      this.#down.add(index);
      return false;
    }
    const wasUpBefore = this.#down.delete(index);
    return wasUpBefore || readU32(readAttributes(buffer, start + 16, end).get(IFLA_GROUP)) !== POD_LINK_GROUP;
  }
}

/** Of a `struct ifinfomsg`. */
function indexOf({ buffer, start }: MessageView): number {
  return buffer.readInt32LE(start + 4);
}

/** After the one byte of `struct netconfmsg`, and what fills it up to four. */
function forwardsNoMore({ buffer, start, end }: MessageView): boolean {
  return (
    readAttributes(buffer, start + 4, end)
      .get(NETCONFA_FORWARDING)
      ?.readInt32LE(0) === 0
  );
}
