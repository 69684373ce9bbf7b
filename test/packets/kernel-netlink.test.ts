import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PLANS, hostRange } from '../../src/addr/plan.ts';
import { addAddress } from '../../src/kernel/addresses.ts';
import { KernelError } from '../../src/kernel/kernel-error.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { createBridge, createVeth, deleteLink, setLink } from '../../src/kernel/links.ts';
import { deleteNeighbour, setNeighbour } from '../../src/kernel/neighbours.ts';
import { netnsInode, withNetns } from '../../src/kernel/netns.ts';
import { addRoute, deleteRoute, formatRoute, replaceRoute, ROMANA_PROTOCOL } from '../../src/kernel/routes.ts';
import type { Route } from '../../src/kernel/routes.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { NftError } from '../../src/nft/nft.ts';
import { addr, cidr } from '../support/netns-pods.ts';
import { TestNetns } from '../support/netns.ts';

const ends = [
  { name: 'left', mac: '02:00:00:00:00:01', mtu: 1500 },
  { name: 'right', mac: '02:00:00:00:00:02', mtu: 9000 },
] as const;

test('Rtnl makes, describes, changes and removes links', async () => {
  await using ns = TestNetns.create('links');
  using rtnl = Rtnl.open({ netns: ns.path });
  const left = rtnl.applyAndGet([createVeth(...ends), createBridge('bridge')], 'left');
  const bridge = rtnl.link('bridge');
  assert.deepEqual(
    { ...left, index: 0, peerIndex: 0 },
    {
      index: 0,
      name: 'left',
      kind: 'veth',
      mtu: 1500,
      mac: '02:00:00:00:00:01',
      up: false,
      running: false,
      master: 0,
      peerIndex: 0,
      group: 0,
    },
  );
  assert.equal(rtnl.link(left.peerIndex)?.name, 'right');
  assert.equal(rtnl.link('right')?.mtu, 9000);
  assert.equal(bridge?.kind, 'bridge');

  rtnl.apply(setLink(left.index, { name: 'port', master: bridge?.index ?? 0, mtu: 1300, group: 7, up: true }));
  const port = rtnl.link(left.index);
  assert.deepEqual(
    [port?.name, port?.master, port?.mtu, port?.group, port?.up],
    ['port', bridge?.index, 1300, 7, true],
  );
  rtnl.apply(deleteLink('port'), deleteLink('absent'));
  assert.deepEqual(
    rtnl.links().map(({ name }) => name),
    ['lo', 'bridge'],
  );
  assert.equal(rtnl.link('port'), undefined);
});

test('Rtnl lists routes by protocol so that ours alone can be swept', async () => {
  await using ns = TestNetns.create('routes');
  using rtnl = Rtnl.open({ netns: ns.path });
  const { index: dev } = rtnl.applyAndGet([createVeth(...ends), setLink('right', { up: true })], 'left');
  rtnl.apply(setLink(dev, { up: true, linkLocal: false }));
  rtnl.apply(addAddress(dev, addr('192.0.2.1'), 24), addAddress(dev, addr('2001:db8::1'), 64));
  await ns.run(['ip', 'route', 'add', '198.51.100.0/24', 'via', '192.0.2.9']);
  await ns.run(['ip', '-6', 'route', 'add', '2001:db8:1::/64', 'via', '2001:db8::9']);
  const others = rtnl.routes();

  const protocol = ROMANA_PROTOCOL;
  const ours: Route[] = [
    ...DEFAULT_PLANS.map((plan): Route => ({ kind: 'blackhole', dst: hostRange(plan, 1), protocol })),
    { kind: 'unicast', dst: cidr('10.2.0.0/16'), via: addr('192.0.2.2'), dev, protocol },
    { kind: 'unicast', dst: cidr('fd00:10:0:0:2::/80'), via: addr('2001:db8::2'), dev, protocol },
    { kind: 'unicast', dst: cidr('10.1.17.3/32'), dev, source: addr('192.0.2.1'), protocol },
    { kind: 'unicast', dst: cidr('fd00:10::1:1:1:3/128'), dev, protocol },
    { kind: 'unicast', dst: cidr('0.0.0.0/0'), via: addr('203.0.113.1'), dev, onlink: true, protocol },
    { kind: 'unicast', dst: cidr('::/0'), via: addr('fd00::1'), dev, onlink: true, protocol },
  ];
  rtnl.apply(...ours.map(addRoute));
  const listed = (): string[] => rtnl.routes({ protocol }).map(formatRoute).sort();
  assert.deepEqual(listed(), ours.map(formatRoute).sort());
  assert.equal(rtnl.routes({ protocol, family: 6 }).length, 4);
  assert.throws(() => rtnl.apply(addRoute(ours[2] as Route)), { code: 'EEXIST' });

  rtnl.apply(replaceRoute({ ...(ours[2] as Route), via: addr('192.0.2.3') }));
  assert.ok(listed().includes(`10.2.0.0/16 via 192.0.2.3 dev ${dev} proto 82`));
  rtnl.apply(...rtnl.routes({ protocol }).map(deleteRoute), deleteRoute(ours[0] as Route));
  assert.deepEqual(rtnl.routes(), others);
});

test('Rtnl.apply carries out thousands of requests and lists them again', async () => {
  await using ns = TestNetns.create('many');
  using rtnl = Rtnl.open({ netns: ns.path });
  const routes = Array.from({ length: 5_000 }, (_, n): Route => ({
    kind: 'blackhole',
    dst: cidr(`10.${n >> 8}.${n & 255}.0/24`),
    protocol: ROMANA_PROTOCOL,
  }));
  rtnl.apply(...routes.map(replaceRoute));
  assert.equal(rtnl.routes({ protocol: ROMANA_PROTOCOL }).length, routes.length);
  rtnl.apply(...routes.map(deleteRoute));
  assert.deepEqual(rtnl.routes(), []);
});

test('Rtnl.apply throws the first failure in the kernel’s words and carries out the rest', async () => {
  await using ns = TestNetns.create('errors');
  using rtnl = Rtnl.open({ netns: ns.path });
  const requests = [
    deleteLink('absent'),
    addAddress(99, addr('192.0.2.1')),
    setLink('absent', { up: true }),
    addAddress(1, addr('192.0.2.7')),
    deleteNeighbour(1, addr('192.0.2.8')),
  ];
  assert.throws(
    () => rtnl.apply(...requests),
    (error) => {
      assert.ok(error instanceof KernelError);
      assert.equal(error.code, 'ENODEV');
      assert.match(error.message, /^cannot add the address 192\.0\.2\.1\/32 to interface 99: ENODEV \(.*not found\)$/);
      return true;
    },
  );
  assert.ok(rtnl.addresses(4).some(({ address, length }) => address === '192.0.2.7' && length === 32));
});

test('setNeighbour is permanent and replaces what was known', async () => {
  await using ns = TestNetns.create('neigh');
  using rtnl = Rtnl.open({ netns: ns.path });
  const { index } = rtnl.applyAndGet([createVeth(...ends)], 'left');
  for (const mac of ['02:00:00:00:00:08', '02:00:00:00:00:09']) {
    rtnl.apply(setNeighbour(index, addr('192.0.2.9'), mac), setNeighbour(index, addr('fd00::9'), mac));
    assert.deepEqual(
      rtnl.neighbours().filter((found) => found.index === index && found.permanent),
      [
        { index, address: '192.0.2.9', mac, permanent: true },
        { index, address: 'fd00::9', mac, permanent: true },
      ],
    );
  }
  rtnl.apply(deleteNeighbour(index, addr('192.0.2.9')), deleteNeighbour(index, addr('fd00::9')));
  assert.deepEqual(
    rtnl.neighbours().filter((found) => found.permanent),
    [],
  );
});

test('withNetns runs in the other namespace, comes back, also after an error, and refuses to wait', async () => {
  await using ns = TestNetns.create('enter');
  const own = netnsInode();
  assert.equal(
    withNetns(ns.path, () => netnsInode()),
    netnsInode(ns.path),
  );
  assert.throws(
    () =>
      withNetns(ns.path, () => {
        throw new Error('inside');
      }),
    /inside/,
  );
  assert.throws(() => withNetns(ns.path, () => Promise.resolve()), /synchronous/);
  assert.equal(netnsInode(), own);
});

test('LibNft runs a transaction whole or not at all and lists the table', async () => {
  await using ns = TestNetns.create('nft');
  using nft = new LibNft({ netns: ns.path });
  nft.run('');
  nft.run('add table inet romana; add set inet romana pods { type ipv4_addr; }');
  const before = nft.list('romana');
  assert.equal(before, 'table inet romana {\n\tset pods {\n\t\ttype ipv4_addr\n\t}\n}\n');
  assert.throws(
    () => nft.run('add element inet romana pods { 10.1.17.3 }\nadd rule inet romana absent accept'),
    (error) => error instanceof NftError && error.said.includes('No such file or directory'),
  );
  assert.throws(() => nft.run('add nonsense'), NftError);
  assert.equal(nft.list('romana'), before);
  nft.run('delete table inet romana');
  assert.throws(() => nft.list('romana'), NftError);
});
