import { existsSync } from 'node:fs';
import type { Address } from '../addr/address.ts';
import type { Link } from './links.ts';
import { defaultRoute, routeTo } from './pod-wiring.ts';
import type { PodWiring } from './pod-wiring.ts';
import { formatRoute } from './routes.ts';
import type { Route } from './routes.ts';
import { Rtnl } from './rtnl.ts';

/**
 * Compares what the kernel has with a pod's wiring, for CNI CHECK.
 *
 * @param host of the host's network namespace.
 * @returns one sentence for each difference, none when all is as it was made.
 * @throws KernelError when the kernel can't be asked.
 */
export function checkPod(host: Rtnl, wiring: PodWiring): string[] {
  const link = host.link(wiring.hostInterface);
  const onHost =
    link === undefined
      ? [`the host has no interface ${wiring.hostInterface}`]
      : checkEnd(host, link, {
          where: 'the host',
          mac: wiring.hostMac,
          mtu: wiring.mtu,
          neighbours: wiring.addresses,
          neighbourMac: wiring.podMac,
          routes: wiring.addresses.map((address) => routeTo(address, link.index)),
        });
  return [...onHost, ...checkInPod(wiring, link)];
}

function checkInPod(wiring: PodWiring, hostLink: Link | undefined): string[] {
  if (!existsSync(wiring.netnsPath)) return [`the pod's network namespace ${wiring.netnsPath} is gone`];
  using pod = Rtnl.open({ netns: wiring.netnsPath });
  const link = pod.link(wiring.ifname);
  if (link === undefined) return [`the pod has no interface ${wiring.ifname}`];
  const differences: string[] = [];
  if (hostLink !== undefined && link.peerIndex !== hostLink.index) {
    differences.push(`the pod's ${wiring.ifname} is not the other end of ${wiring.hostInterface}`);
  }
  const addresses = new Set(pod.addresses().flatMap((found) => (found.index === link.index ? [found.address] : [])));
  for (const address of wiring.addresses) {
    if (!addresses.has(address)) differences.push(`the pod's ${wiring.ifname} lacks the address ${address}`);
  }
  const end = {
    where: 'the pod',
    mac: wiring.podMac,
    mtu: wiring.mtu,
    neighbours: wiring.gateways,
    neighbourMac: wiring.hostMac,
    routes: wiring.gateways.map((gateway) => defaultRoute(gateway, link.index)),
  };
  return [...differences, ...checkEnd(pod, link, end)];
}

interface End {
  readonly where: string;
  readonly mac: string;
  readonly mtu: number;
  readonly neighbours: readonly Address[];
  readonly neighbourMac: string;
  readonly routes: readonly Route[];
}

function checkEnd(rtnl: Rtnl, link: Link, end: End): string[] {
  const differences: string[] = [];
  const say = (what: string): number => differences.push(`${end.where}'s ${link.name} ${what}`);
  if (!link.up) say('is down');
  if (link.mac !== end.mac) say(`has the MAC address ${link.mac} in place of ${end.mac}`);
  if (link.mtu !== end.mtu) say(`has the MTU ${link.mtu} in place of ${end.mtu}`);
  const neighbours = new Map(
    rtnl.neighbours().flatMap((found) => (found.index === link.index ? [[found.address, found] as const] : [])),
  );
  for (const address of end.neighbours) {
    const found = neighbours.get(address);
    if (found?.permanent !== true || found.mac !== end.neighbourMac) {
      say(`lacks the permanent neighbour ${address} at ${end.neighbourMac}`);
    }
  }
  const routes = new Set(rtnl.routes().map(destination));
  for (const route of end.routes) {
    if (!routes.has(destination(route))) differences.push(`${end.where} lacks the route ${formatRoute(route)}`);
  }
  return differences;
}

/** What of a route decides where packets go. */
function destination({ kind, dst, via, dev }: Route): string {
  return `${kind} ${dst} ${via ?? ''} ${dev ?? ''}`;
}
