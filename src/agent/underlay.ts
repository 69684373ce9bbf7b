import type { Address } from '../addr/address.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import { type Sysctls, sysctls as own } from '../kernel/sysctl.ts';

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
export function findUnderlay(rtnl: Pick<Rtnl, 'addresses' | 'links'>, addresses: readonly Address[]): Underlay {
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
 *
 * @returns the sysctls of forwarding that were off.
 */
export function enableForwarding({ names }: Underlay, sysctls: Sysctls = own): readonly string[] {
  for (const name of names) {
    const path = `net/ipv6/conf/${name}/accept_ra`;
    if (sysctls.read(path) === '1') sysctls.write(path, 2);
  }
  // The first two switch all interfaces on; one of them may have been switched off by itself.
  const paths = [
    'net/ipv4/ip_forward',
    'net/ipv6/conf/all/forwarding',
    ...names.map((n) => `net/ipv4/conf/${n}/forwarding`),
  ];
  const off = paths.filter((path) => !['1', undefined].includes(sysctls.read(path)));
  for (const path of off) sysctls.write(path, 1);
  return off;
}
