import type { TestContext } from 'node:test';
import { parseAddress } from '../../src/addr/address.ts';
import type { Address } from '../../src/addr/address.ts';
import { parseCidr } from '../../src/addr/cidr.ts';
import type { Cidr } from '../../src/addr/cidr.ts';
import { addAddress } from '../../src/kernel/addresses.ts';
import { createVeth, setLink } from '../../src/kernel/links.ts';
import { withNetnsFd } from '../../src/kernel/netns.ts';
import type { PodWiring } from '../../src/kernel/pod-link.ts';
import { replaceRoute, ROMANA_PROTOCOL } from '../../src/kernel/routes.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { TestNetns } from './netns.ts';
import { Probe } from './probe.ts';

/** A test's own address; anything else is a mistake in the test. */
export const addr = (text: string): Address => unwrap(parseAddress(text));
/** A test's own CIDR. */
export const cidr = (text: string): Cidr => unwrap(parseCidr(text));

/** A namespace that forwards, as a node does. */
export interface Host {
  readonly ns: TestNetns;
  readonly rtnl: Rtnl;
}

/** A pod's namespace, with a probe that echoes on TCP port 80 and UDP port 53. */
export interface Pod {
  readonly ns: TestNetns;
  readonly probe: Probe;
  readonly wiring: PodWiring;
}

/** Makes a host, without any link yet. */
export async function makeHost(t: TestContext, label: string): Promise<Host> {
  const ns = TestNetns.create(label);
  t.after(() => ns[Symbol.asyncDispose]());
  // Without duplicate address detection on the uplink, which would have it silent for its first two seconds.
  const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv6.conf.default.accept_dad=0'];
  await ns.run(['sysctl', '-qw', ...settings]);
  const rtnl = Rtnl.open({ netns: ns.path });
  t.after(() => rtnl.close());
  return { ns, rtnl };
}

/** The wiring of the pod that has endpoint `number` on host `host`: 10.HOST.17.NUMBER and fd00:10::HOST:1:1:NUMBER. */
export function wiringOf(ns: TestNetns, host: number, number: number): PodWiring {
  return {
    netnsPath: ns.path,
    ifname: 'eth0',
    hostInterface: `romapod${number}`,
    hostMac: '02:52:00:00:00:01',
    podMac: `02:52:00:00:01:0${number}`,
    mtu: 1400,
    addresses: [addr(`10.${host}.17.${number}`), addr(`fd00:10::${host}:1:1:${number}`)],
    gateways: [addr(`10.${host}.0.1`), addr(`fd00:10::${host}:0:0:1`)],
  };
}

/** Makes a pod that is not wired yet. */
export async function makePod(t: TestContext, host: number, number: number): Promise<Pod> {
  const ns = TestNetns.create(`pod${number}`);
  t.after(() => ns[Symbol.asyncDispose]());
  const probe = await Probe.start(ns);
  await Promise.all([probe.listenTcp(80), probe.listenUdp(53)]);
  return { ns, probe, wiring: wiringOf(ns, host, number) };
}

const uplink = (number: number) => ({ name: 'up0', mac: `02:00:00:00:00:0${number}`, mtu: 1500 });

/** Joins hosts 1 and 2 by a veth and gives each a route to the other's range. */
export async function joinHosts(one: Host, two: Host): Promise<void> {
  const { index, peerIndex } = withNetnsFd(two.ns.path, (netns) =>
    one.rtnl.applyAndGet([createVeth(uplink(1), uplink(2), netns)], 'up0'),
  );
  const set = ({ rtnl }: Host, dev: number, own: number, other: number): void =>
    rtnl.apply(
      setLink(dev, { up: true }),
      addAddress(dev, addr(`192.0.2.${own}`), 24),
      addAddress(dev, addr(`2001:db8::${own}`), 64),
      replaceRoute(routeVia(`10.${other}.0.0/16`, `192.0.2.${other}`, dev)),
      replaceRoute(routeVia(`fd00:10::${other}:0:0:0/80`, `2001:db8::${other}`, dev)),
    );
  set(one, index, 1, 2);
  set(two, peerIndex, 2, 1);
  // Until the kernel has noticed the carrier (up to a second), it has no link-local address to ask for neighbours from.
  for (const { rtnl } of [one, two]) await waitFor('the uplink to run', () => rtnl.link('up0')?.running);
}

const routeVia = (dst: string, via: string, dev: number) =>
  ({ kind: 'unicast', dst: cidr(dst), via: addr(via), dev, protocol: ROMANA_PROTOCOL }) as const;
