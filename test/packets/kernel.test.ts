import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { parseAddress } from '../../src/addr/address.ts';
import type { Address } from '../../src/addr/address.ts';
import { parseCidr } from '../../src/addr/cidr.ts';
import type { Cidr } from '../../src/addr/cidr.ts';
import { addAddress } from '../../src/kernel/addresses.ts';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { createVeth, setLink } from '../../src/kernel/links.ts';
import { withNetnsFd } from '../../src/kernel/netns.ts';
import { wirePod } from '../../src/kernel/pod-link.ts';
import type { PodWiring } from '../../src/kernel/pod-link.ts';
import { replaceRoute, ROMANA_PROTOCOL } from '../../src/kernel/routes.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { TestNetns } from '../support/netns.ts';
import { Probe } from '../support/probe.ts';

const REVOKED = 0x10000000;

const addr = (text: string): Address => unwrap(parseAddress(text));
const cidr = (text: string): Cidr => unwrap(parseCidr(text));

interface Host {
  readonly ns: TestNetns;
  readonly rtnl: Rtnl;
}

interface Pod {
  readonly ns: TestNetns;
  readonly probe: Probe;
  readonly wiring: PodWiring;
}

async function makeHost(t: TestContext, label: string): Promise<Host> {
  const ns = TestNetns.create(label);
  t.after(() => ns[Symbol.asyncDispose]());
  // Without duplicate address detection on the uplink, which would have it silent for its first two seconds.
  const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv6.conf.default.accept_dad=0'];
  await ns.run(['sysctl', '-qw', ...settings]);
  const rtnl = Rtnl.open({ netns: ns.path });
  t.after(() => rtnl.close());
  return { ns, rtnl };
}

async function makePod(t: TestContext, host: Host, number: number): Promise<Pod> {
  const ns = TestNetns.create(`pod${number}`);
  t.after(() => ns[Symbol.asyncDispose]());
  const probe = await Probe.start(ns);
  await Promise.all([probe.listenTcp(80), probe.listenUdp(53)]);
  const wiring: PodWiring = {
    netnsPath: ns.path,
    ifname: 'eth0',
    hostInterface: 'romapod',
    hostMac: '02:52:00:00:00:01',
    podMac: `02:52:00:00:01:0${number}`,
    mtu: 1500,
    addresses: [addr(`10.${number}.17.3`), addr(`fd00:10::${number}:1:1:3`)],
    gateways: [addr(`10.${number}.0.1`), addr(`fd00:10::${number}:0:0:1`)],
  };
  host.ns.inside(() => wirePod(host.rtnl, wiring));
  return { ns, probe, wiring };
}

const uplink = (number: number) => ({ name: 'up0', mac: `02:00:00:00:00:0${number}`, mtu: 1500 });

/** Joins hosts 1 and 2 by a veth and gives each a route to the other's range. */
async function joinHosts(one: Host, two: Host): Promise<void> {
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

async function twoPods(t: TestContext): Promise<{ host: Host; client: Pod; server: Pod }> {
  const one = await makeHost(t, 'host1');
  const two = await makeHost(t, 'host2');
  await joinHosts(one, two);
  const [client, server] = await Promise.all([makePod(t, one, 1), makePod(t, two, 2)]);
  return { host: two, client, server };
}

test('two pods on two hosts exchange packets over routes and a rule made by our code', async (t) => {
  const { host, client, server } = await twoPods(t);
  using nft = new LibNft({ netns: host.ns.path });
  nft.run(`
    add table inet romana
    add map inet romana allowed { typeof ip daddr . th dport : verdict; }
    add map inet romana allowed6 { typeof ip6 daddr . th dport : verdict; }
    add chain inet romana forward { type filter hook forward priority filter; policy drop; }
    add rule inet romana forward ct state established accept
    add rule inet romana forward ip daddr . th dport vmap @allowed
    add rule inet romana forward ip6 daddr . th dport vmap @allowed6
    add rule inet romana forward icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`);
  const probes = (timeoutMs: number) =>
    Promise.all(
      server.wiring.addresses.flatMap((address) => [
        client.probe.tcp(address, 80, { timeoutMs }),
        client.probe.udp(address, 53, { timeoutMs }),
        client.probe.tcp(address, 81, { timeoutMs }),
      ]),
    );
  assert.deepEqual(
    await probes(200),
    Array.from({ length: 6 }, () => 'timeout'),
  );

  const [address4, address6] = server.wiring.addresses;
  nft.run(`
    add element inet romana allowed { ${address4} . 80 : accept, ${address4} . 53 : accept }
    add element inet romana allowed6 { ${address6} . 80 : accept, ${address6} . 53 : accept }`);
  assert.deepEqual(await probes(900), ['open', 'open', 'timeout', 'open', 'open', 'timeout']);
});

test('Conntrack.setMark cuts an open connection and remove lets it be judged anew', async (t) => {
  const { host, client, server } = await twoPods(t);
  using nft = new LibNft({ netns: host.ns.path });
  nft.run(`
    add table inet romana
    add chain inet romana forward { type filter hook forward priority filter; }
    add rule inet romana forward ct mark & ${REVOKED} != 0 drop
    add rule inet romana forward ct state established,related accept`);
  using conntrack = Conntrack.open({ netns: host.ns.path });
  for (const address of server.wiring.addresses) {
    const connection = await client.probe.open(address, 80);
    assert.equal(await connection.exchange(), true);
    const mine = () => conntrack.listByAddress([address]).filter((entry) => entry.protocol === 6);
    assert.deepEqual(
      mine().map(({ family, orig, reply, mark }) => [
        family,
        orig.src,
        orig.dst,
        orig.dport,
        reply.src,
        reply.sport,
        mark,
      ]),
      [[address.includes(':') ? 6 : 4, clientOf(client, address), address, 80, address, 80, 0]],
    );

    conntrack.setMark(mine(), REVOKED | 1, REVOKED);
    assert.deepEqual(
      mine().map((entry) => entry.mark),
      [REVOKED],
    );
    assert.equal(await connection.exchange({ timeoutMs: 200 }), false, `${address} is cut`);

    conntrack.setMark(mine(), 0, REVOKED);
    assert.equal(await connection.exchange({ timeoutMs: 5_000 }), true, `${address} passes without the mark`);

    conntrack.setMark(mine(), REVOKED, REVOKED);
    assert.equal(conntrack.removeByAddress([address]), 1);
    assert.equal(await connection.exchange({ timeoutMs: 5_000 }), true, `${address} passes as a new connection`);
    await connection.close();
  }
});

test('Conntrack lists and removes UDP, ICMP and ICMPv6 entries', async (t) => {
  const { host, client, server } = await twoPods(t);
  using nft = new LibNft({ netns: host.ns.path });
  nft.run(`
    add table inet romana
    add chain inet romana forward { type filter hook forward priority filter; }
    add rule inet romana forward ct state new counter`);
  using conntrack = Conntrack.open({ netns: host.ns.path });
  for (const address of server.wiring.addresses) {
    assert.equal(await client.probe.udp(address, 53), 'open');
    await client.ns.run(['ping', '-c', '1', '-W', '2', address]);
  }
  const kinds = () =>
    conntrack
      .listByAddress(server.wiring.addresses)
      .map((entry) => `${entry.family} ${entry.protocol} ${entry.icmp?.type ?? entry.orig.dport}`)
      .sort();
  assert.deepEqual(kinds(), ['4 1 8', '4 17 53', '6 17 53', '6 58 128']);
  conntrack.setMark(conntrack.list(4), 5, 7);
  assert.deepEqual(
    conntrack
      .list()
      .map(({ family, mark }) => [family, mark])
      .sort(),
    [
      [4, 5],
      [4, 5],
      [6, 0],
      [6, 0],
    ],
  );
  assert.equal(conntrack.count(), 4);
  conntrack.remove(conntrack.list());
  assert.deepEqual(conntrack.list(), []);
});

function clientOf({ wiring }: Pod, address: Address): Address | undefined {
  return wiring.addresses.find((own) => own.includes(':') === address.includes(':'));
}
