import { closeSync, openSync } from 'node:fs';
import { addAddress } from './addresses.ts';
import { familyOfText } from './address-bytes.ts';
import {
  createVeth,
  deleteLink,
  IPV4_DEVCONF_ACCEPT_REDIRECTS,
  IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE,
  IPV4_DEVCONF_ARP_IGNORE,
  IPV4_DEVCONF_PROXY_ARP,
  IPV4_DEVCONF_SEND_REDIRECTS,
  setLink,
} from './links.ts';
import type { LinkMaker } from './link-maker.ts';
import type { Link } from './links.ts';
import { setNeighbour } from './neighbours.ts';
import type { NetlinkRequest } from './netlink-codec.ts';
import { withNetns, withNetnsFd } from './netns.ts';
import { defaultRoute, POD_LINK_GROUP, routeTo } from './pod-wiring.ts';
import type { PodWiring } from './pod-wiring.ts';
import { addRoute, deleteRoute, replaceRoute } from './routes.ts';
import { Rtnl } from './rtnl.ts';
import { type Sysctls, sysctls as own } from './sysctl.ts';

export type { PodWiring } from './pod-wiring.ts';

/** What is needed to take a pod's wiring away again. */
export type PodAttachment = Pick<PodWiring, 'hostInterface' | 'addresses'>;

/** A pod's wiring that lacks only the last step. */
export interface PreparedPod {
  /**
   * Lets packets pass. When it fails, the veth is gone before the error is thrown.
   *
   * @throws KernelError
   */
  up(): void;
  /** Takes the veth away again, instead of `up`. */
  abort(): void;
}

const LOOPBACK_INDEX = 1;
/**
 * When `up` looks whether the kernel's own workers are done, in milliseconds after the last look: at most 0.2 s in all,
 * which only a machine with no time for them needs. Without, a packet is lost.
 */
const LOOKS_MS: readonly number[] = [...Array<number>(100).fill(0.1), ...Array<number>(190).fill(1)];

/** arp_ignore: answers nobody, and notes nobody who asks. */
const ARP_IGNORE_ALL = 8;
// The host must not learn routes or neighbours from a pod, answer for others towards it, send it elsewhere, or let it
// say by which way its packets go.
const HOST_IPV4: ReadonlyMap<number, number> = new Map([
  [IPV4_DEVCONF_PROXY_ARP, 0],
  [IPV4_DEVCONF_ACCEPT_REDIRECTS, 0],
  [IPV4_DEVCONF_SEND_REDIRECTS, 0],
  [IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0],
  [IPV4_DEVCONF_ARP_IGNORE, ARP_IGNORE_ALL],
]);

/**
 * Wires a pod: `preparePod` and `up`.
 *
 * @throws KernelError when the kernel refuses a step; everything that was made is gone by then.
 */
export function wirePod(host: Rtnl, wiring: PodWiring): void {
  preparePod(host, wiring).up();
}

/**
 * Does everything but letting packets pass, so that the endpoint's elements and policy can be put into the kernel
 * before its first packet.
 *
 * @param host of the host's network namespace, which must be this thread's own.
 * @throws KernelError when the kernel refuses a step; everything that was made is gone by then. EEXIST: the host
 * interface, or `ifname` in the pod, is there already.
 */
export function preparePod(host: Rtnl, wiring: PodWiring, sysctls: Sysctls = own): PreparedPod {
  return withNetnsFd(wiring.netnsPath, (netns) => {
    const link = host.applyAndGet([vethOf(wiring, netns)], wiring.hostInterface);
    return finishPod(host, wiring, netns, link, sysctls);
  });
}

/** `preparePod` with the veth made on another thread, which is two thirds of it. */
export async function preparePodAsync(
  host: Rtnl,
  maker: LinkMaker,
  wiring: PodWiring,
  sysctls: Sysctls = own,
): Promise<PreparedPod> {
  const netns = openSync(wiring.netnsPath, 'r');
  try {
    const link = await maker.make(vethOf(wiring, netns), wiring.hostInterface);
    return finishPod(host, wiring, netns, link, sysctls);
  } finally {
    closeSync(netns);
  }
}

/** Made with its other end in the pod from the start: moving it there later would take the kernel several ms. */
function vethOf({ hostInterface, hostMac, ifname, podMac, mtu }: PodWiring, netns: number): NetlinkRequest {
  const host = { name: hostInterface, mac: hostMac, mtu, group: POD_LINK_GROUP };
  return createVeth(host, { name: ifname, mac: podMac, mtu }, netns);
}

/** All that comes after the veth; takes it away again when a step fails. */
function finishPod(
  host: Rtnl,
  wiring: PodWiring,
  netns: number,
  { index, peerIndex }: Link,
  sysctls: Sysctls,
): PreparedPod {
  let pod: Rtnl | undefined;
  try {
    pod = withNetns(netns, () => {
      setPodSysctls(sysctls, wiring);
      return Rtnl.open();
    });
    pod.apply(...podRequests(wiring, peerIndex));
    setHostSysctls(sysctls, wiring.hostInterface);
    host.apply(...hostRequests(wiring, index));
    return new PreparedLink(host, pod, wiring, index, peerIndex);
  } catch (error) {
    pod?.close();
    host.apply(deleteLink(index));
    throw error;
  }
}

/**
 * Stops a pod's traffic: its routes are gone and its interface is down when this returns, which is quick. The interface
 * itself goes with `deleteLinks`, which is slow. Does nothing to what is not there.
 */
export function detachPod(host: Rtnl, { hostInterface, addresses }: PodAttachment): void {
  const link = host.link(hostInterface);
  // The kernel removes an interface's routes with it, so that without it there are none.
  if (link === undefined) return;
  host.apply(...addresses.map((address) => deleteRoute(routeTo(address, link.index))), {
    ...setLink(link.index, { up: false }),
    tolerate: ['ENODEV'],
  });
}

/** Takes a pod's wiring away and waits until the kernel has done so (about 25 ms). Does nothing to what is not there. */
export function unwirePod(host: Rtnl, hostInterface: string): void {
  host.apply(deleteLink(hostInterface));
}

class PreparedLink implements PreparedPod {
  readonly #host: Rtnl;
  readonly #pod: Rtnl;
  readonly #wiring: PodWiring;
  readonly #index: number;
  readonly #peerIndex: number;

  constructor(host: Rtnl, pod: Rtnl, wiring: PodWiring, index: number, peerIndex: number) {
    this.#host = host;
    this.#pod = pod;
    this.#wiring = wiring;
    this.#index = index;
    this.#peerIndex = peerIndex;
  }

  up(): void {
    try {
      this.#awaitAddresses();
      // The kernel takes routes only for an interface that is up, so they come right after, in the same call. One that
      // a former owner of the address left behind is replaced.
      const routes = this.#wiring.addresses.map((address) => replaceRoute(routeTo(address, this.#index)));
      // (The host's end is asked for only so that the kernel takes note of its carrier: see below.)
      this.#host.applyAndGet([setLink(this.#index, { up: true }), ...routes], this.#index);
      this.#awaitCarrier();
    } catch (error) {
      this.#host.apply(deleteLink(this.#index));
      throw error;
    } finally {
      this.#pod.close();
    }
  }

  abort(): void {
    this.#pod.close();
    this.#host.apply(deleteLink(this.#index));
  }

  // The kernel delivers to a new IPv6 address only once a worker of its own has been through what duplicate address
  // detection would be, although there is none (addrconf_dad_work); on a busy machine that can take a millisecond.
  #awaitAddresses(): void {
    for (const address of this.#wiring.addresses) {
      awaitKernel(() => this.#pod.ways([address])[0] === 'local');
    }
  }

  // The pod's end went up before it had a carrier, so the kernel starts its queue only when a worker of its own has
  // seen the carrier, a fraction of a millisecond later; a packet that the pod sends before that is lost, and a TCP
  // SYN is sent again only after a second. To ask for the state makes Linux 6.8 and newer do it at once.
  #awaitCarrier(): void {
    awaitKernel(() => this.#pod.link(this.#peerIndex)?.running ?? true);
  }
}

/** Looks until a worker of the kernel has done its part, which takes a few microseconds on a machine with time to spare. */
function awaitKernel(isDone: () => boolean): void {
  const nobodyWakesThis = new Int32Array(new SharedArrayBuffer(4));
  for (const waitMs of LOOKS_MS) {
    if (isDone()) return;
    // It runs on the same processor, so that it would wait for us if we did not sleep.
    Atomics.wait(nobodyWakesThis, 0, 0, waitMs);
  }
}

function podRequests({ addresses, gateways, hostMac }: PodWiring, index: number): NetlinkRequest[] {
  return [
    setLink(LOOPBACK_INDEX, { up: true }),
    ...addresses.map((address) => addAddress(index, address)),
    setLink(index, { up: true }),
    ...gateways.map((gateway) => setNeighbour(index, gateway, hostMac)),
    ...gateways.map((gateway) => addRoute(defaultRoute(gateway, index))),
  ];
}

function hostRequests({ addresses, podMac }: PodWiring, index: number): NetlinkRequest[] {
  return [
    // No link-local address: nobody talks to this end, and it would be one more that a pod could reach.
    setLink(index, { linkLocal: false, ipv4: HOST_IPV4 }),
    ...addresses.map((address) => setNeighbour(index, address, podMac)),
  ];
}

/** Runs in the pod's network namespace. */
function setPodSysctls(sysctls: Sysctls, { ifname, addresses }: PodWiring): void {
  const conf = `net/ipv6/conf/${ifname}`;
  const disabled = sysctls.read(`${conf}/disable_ipv6`);
  if (disabled === undefined || !addresses.some((address) => familyOfText(address) === 6)) return;
  // Some runtimes switch IPv6 off in every namespace that they make.
  if (disabled !== '0') sysctls.write(`${conf}/disable_ipv6`, 0);
  // The host end sends neither advertisements nor redirects, and there is nobody who could have the same address.
  sysctls.write(`${conf}/accept_dad`, 0);
  sysctls.write(`${conf}/accept_ra`, 0);
  sysctls.write(`${conf}/accept_redirects`, 0);
}

function setHostSysctls(sysctls: Sysctls, hostInterface: string): void {
  const conf = `net/ipv6/conf/${hostInterface}`;
  // A kernel without IPv6, or an MTU below its 1280.
  if (sysctls.read(`${conf}/accept_ra`) === undefined) return;
  sysctls.write(`${conf}/accept_ra`, 0);
  sysctls.write(`${conf}/accept_redirects`, 0);
}
