import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Address } from '../../src/addr/address.ts';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { wirePod } from '../../src/kernel/pod-link.ts';
import { joinHosts, makeHost, makePod } from '../support/netns-pods.ts';
import type { Host, Pod } from '../support/netns-pods.ts';

const REVOKED = 0x10000000;

async function twoPods(t: TestContext): Promise<{ host: Host; client: Pod; server: Pod }> {
  const one = await makeHost(t, 'host1');
  const two = await makeHost(t, 'host2');
  await joinHosts(one, two);
  const [client, server] = await Promise.all([makePod(t, 1, 3), makePod(t, 2, 3)]);
  one.ns.inside(() => wirePod(one.rtnl, client.wiring));
  two.ns.inside(() => wirePod(two.rtnl, server.wiring));
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
      .map(({ family, mark }) => `${family} ${mark}`)
      .sort(),
    ['4 5', '4 5', '6 0', '6 0'],
  );
  assert.equal(conntrack.count(), 4);
  conntrack.remove(conntrack.list());
  assert.deepEqual(conntrack.list(), []);
});

function clientOf({ wiring }: Pod, address: Address): Address | undefined {
  return wiring.addresses.find((own) => own.includes(':') === address.includes(':'));
}
