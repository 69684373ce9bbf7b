import type { Address } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import { familyOfText } from './address-bytes.ts';
import { ROMANA_PROTOCOL } from './routes.ts';
import type { Route } from './routes.ts';

/** RTPROT_STATIC: what the pod's own tools would call a route that was set by hand. */
const STATIC_PROTOCOL = 4;
/** `roma`: the interface group (linux/if_link.h, IFLA_GROUP) of the host's ends of pods' links. By it we know ours. */
export const POD_LINK_GROUP = 0x726f6d61;

/** How a pod is joined to its host: a veth pair, routed, with no bridge and no ARP or neighbour discovery. */
export interface PodWiring {
  /** The file of the pod's network namespace. */
  readonly netnsPath: string;
  /** The interface's name in the pod, e.g. `eth0`. */
  readonly ifname: string;
  /** The name of the host's end. */
  readonly hostInterface: string;
  readonly hostMac: string;
  readonly podMac: string;
  /** Of both ends, in bytes. */
  readonly mtu: number;
  /** The pod's addresses, at most one of a family, put on as /32 and /128. */
  readonly addresses: readonly Address[];
  /** What the pod sends everything to, one of each family of `addresses`. No interface needs to have them. */
  readonly gateways: readonly Address[];
}

/** The route by which the host reaches a pod's address. */
export function routeTo(address: Address, hostIndex: number): Route {
  return { kind: 'unicast', dst: fullCidr(address), dev: hostIndex, protocol: ROMANA_PROTOCOL };
}

/** The route by which a pod reaches everything of its gateway's family. */
export function defaultRoute(gateway: Address, podIndex: number): Route {
  const dst = (familyOfText(gateway) === 4 ? '0.0.0.0/0' : '::/0') as Cidr;
  return { kind: 'unicast', dst, via: gateway, dev: podIndex, onlink: true, protocol: STATIC_PROTOCOL };
}

function fullCidr(address: Address): Cidr {
  return `${address}/${familyOfText(address) === 4 ? 32 : 128}` as Cidr;
}
