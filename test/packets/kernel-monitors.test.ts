import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { addAddress } from '../../src/kernel/addresses.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { createVeth, deleteLink, setLink } from '../../src/kernel/links.ts';
import { setNeighbour } from '../../src/kernel/neighbours.ts';
import { NetworkMonitor } from '../../src/kernel/network-monitor.ts';
import { POD_LINK_GROUP } from '../../src/kernel/pod-wiring.ts';
import { addRoute, deleteRoute, ROMANA_PROTOCOL } from '../../src/kernel/routes.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { TableMonitor } from '../../src/kernel/table-monitor.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { addr, cidr } from '../support/netns-pods.ts';
import { TestNetns } from '../support/netns.ts';

function netnsOf(t: TestContext): TestNetns {
  const ns = TestNetns.create('monitor');
  t.after(() => ns[Symbol.asyncDispose]());
  return ns;
}

function tableMonitor(t: TestContext, ns: TestNetns): string[] {
  const heard: string[] = [];
  const monitor = new TableMonitor({
    table: 'romana',
    netns: ns.path,
    onChanged: (by) => heard.push(by === undefined ? 'anything' : `${by.name} ${by.pid > 0}`),
  });
  t.after(() => monitor.close());
  return heard;
}

test('TableMonitor tells of each transaction of others in the table, by its process, and of nothing else', async (t) => {
  const ns = netnsOf(t);
  using nft = new LibNft({ netns: ns.path });
  const heard = tableMonitor(t, ns);
  // One that is not known when the monitor begins.
  using later = new LibNft({ netns: ns.path });
  nft.run('table inet romana { set s { type ipv4_addr; }; chain c { counter; }; }');
  const own = { table: 'romana', name: 's', type: 'ipv4_addr', elements: [['192.0.2.1', '']] } as const;
  nft.change([{ verb: 'add element', ...own }]);
  nft.change([
    { verb: 'add rule', table: 'romana', name: 'c', rule: 'ip saddr @s drop' },
    { verb: 'flush chain', table: 'romana', name: 'c' },
  ]);
  later.run('add chain inet romana d');
  await ns.run(['nft', 'table ip romana { chain c { counter; } ; }']);
  await ns.run(['nft', 'table inet romana2 { chain c { counter; } ; }']);
  await ns.run(['nft', 'flush table inet romana2']);
  await ns.run(['nft', 'list ruleset']);
  const audible = [
    'add element inet romana s { 192.0.2.2 }',
    'flush set inet romana s',
    'flush chain inet romana c; delete chain inet romana c',
    'flush ruleset',
    'table inet romana',
  ];
  for (const [index, command] of audible.entries()) {
    await ns.run(['nft', command]);
    await waitFor(command, () => heard.length > index);
  }
  assert.deepEqual(
    heard,
    audible.map(() => 'nft true'),
  );
});

/** A table whose making is more than the kernel can tell of: it says ENOBUFS to all who listen. */
function manyElements(table: string): string {
  const elements = Array.from({ length: 20_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`).join(', ');
  return `table inet ${table} { set s { type ipv4_addr; elements = { ${elements} }; } ; }\n`;
}

test('TableMonitor says so when more happened than it could hear, and hears on', async (t) => {
  const ns = netnsOf(t);
  const heard = tableMonitor(t, ns);
  // Nobody reads meanwhile.
  execFileSync('ip', ['netns', 'exec', ns.name, 'nft', '-f', '-'], { input: manyElements('other') });
  await waitFor('the monitor to say so', () => heard.includes('anything'));
  await ns.run(['nft', 'table inet romana']);
  await waitFor('the next change', () => heard.at(-1) === 'nft true');
});

test('NetworkMonitor tells of what our routes, neighbours and forwarding may have gone with, and of nothing else', async (t) => {
  const ns = netnsOf(t);
  await ns.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  using rtnl = Rtnl.open({ netns: ns.path });
  const pod = addr('10.1.17.3');
  let heard = 0;
  const monitor = new NetworkMonitor({
    netns: ns.path,
    isPod: (address) => address === pod,
    onChanged: () => (heard += 1),
  });
  t.after(() => monitor.close());
  const ends = [
    { name: 'left', mac: '02:00:00:00:00:01', mtu: 1500, group: POD_LINK_GROUP },
    { name: 'right', mac: '02:00:00:00:00:02', mtu: 1500 },
  ] as const;
  const { index: dev } = rtnl.applyAndGet([createVeth(...ends)], 'left');
  const ours = { kind: 'unicast', dst: cidr('10.1.17.3/32'), dev, protocol: ROMANA_PROTOCOL } as const;
  rtnl.apply(setLink(dev, { linkLocal: false }), setLink(dev, { up: true }));
  rtnl.apply(addAddress(dev, addr('192.0.2.1'), 24), setNeighbour(dev, pod, ends[1].mac), addRoute(ours));
  rtnl.apply(deleteRoute(ours), addRoute(ours));
  const silent = [
    'ip route add 198.51.100.0/24 dev left',
    'ip route del 198.51.100.0/24',
    'ip neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 nud permanent dev left',
    'ip neighbour del 192.0.2.9 dev left',
    'ip link set right addrgenmode none',
    'ip link add br0 type bridge',
    'ip link del br0',
  ];
  for (const command of silent) await ns.run(['sh', '-ec', command]);
  const audible = [
    'ip route del 10.1.17.3/32 proto 82',
    'ip route add 10.7.0.0/16 via 192.0.2.7 proto 82',
    'ip route replace 10.7.0.0/16 via 192.0.2.8 proto static',
    'ip neighbour del 10.1.17.3 dev left',
    'ip address add 192.0.2.2/24 dev left',
    'ip address del 192.0.2.2/24 dev left',
    'ip link set left down; ip link set left up',
    'ip link set right up',
    'sysctl -qw net.ipv4.ip_forward=0',
    'sysctl -qw net.ipv6.conf.all.forwarding=0',
  ];
  for (const command of audible) {
    assert.equal(heard, 0, `before "${command}"`);
    await ns.run(['sh', '-ec', command]);
    await waitFor(command, () => heard > 0);
    heard = 0;
  }
  rtnl.apply(deleteLink(dev));
});
