import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../../src/addr/address.ts';
import { forwardChains } from '../../src/kernel/base-chains.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { NftError } from '../../src/nft/nft.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { TestNetns } from '../support/netns.ts';

test('forwardChains lists the chains on the forward hook of all families, with policy and number of rules', async () => {
  await using ns = TestNetns.create('chains');
  assert.deepEqual(forwardChains({ netns: ns.path }), []);
  using nft = new LibNft({ netns: ns.path });
  nft.run(`
    add table ip filter
    add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }
    add rule ip filter FORWARD tcp dport 1 accept
    add rule ip filter FORWARD tcp dport 2 accept
    add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
    add chain ip filter helper
    add table inet mine
    add chain inet mine fw { type filter hook forward priority 10; }
    add table bridge other
    add chain bridge other forward { type filter hook forward priority 0; policy drop; }`);
  assert.deepEqual(
    [...forwardChains({ netns: ns.path })].sort((a, b) => a.table.localeCompare(b.table)),
    [
      { family: 'ip', table: 'filter', name: 'FORWARD', policy: 'drop', rules: 2 },
      { family: 'inet', table: 'mine', name: 'fw', policy: 'accept', rules: 0 },
    ],
  );
});

test('Rtnl.ways tells own addresses, those on a link, those behind a router and those without a route', async () => {
  await using ns = TestNetns.create('ways');
  const lines = [
    'link add name br0 type bridge',
    'link add name eth0 type veth peer name eth1',
    'link set eth1 master br0 up',
    'link set eth0 up',
    'link set br0 up',
    'address add 192.0.2.1/24 dev br0',
    'address add 2001:db8::1/64 dev br0 nodad',
    'route add 198.51.100.0/24 via 192.0.2.9',
    'route add 2001:db8:1::/64 via 2001:db8::9',
    'route add blackhole 203.0.113.0/24',
  ];
  for (const line of lines) await ns.run(['ip', ...line.split(' ')]);
  using rtnl = Rtnl.open({ netns: ns.path });
  const asked = {
    '192.0.2.1': 'local',
    '192.0.2.2': 'link',
    '198.51.100.7': 'router',
    '203.0.113.7': 'none',
    '10.1.1.1': 'none',
    '2001:db8::1': 'local',
    '2001:db8::2': 'link',
    '2001:db8:1::7': 'router',
    '2001:db8:2::7': 'none',
  };
  const addresses = Object.keys(asked) as Address[];
  assert.deepEqual(rtnl.ways(addresses), Object.values(asked));
});

test('LibNft.check says what the kernel would refuse, and changes nothing', async () => {
  await using ns = TestNetns.create('check');
  using nft = new LibNft({ netns: ns.path });
  nft.run('add table inet romana');
  const before = nft.list('romana');
  nft.check('add chain inet romana one');
  // Only the kernel knows that no table of that name is there.
  assert.throws(() => nft.check('add chain inet romana two\nadd chain inet other three'), NftError);
  assert.equal(nft.list('romana'), before);
  nft.run('add chain inet romana one');
  assert.notEqual(nft.list('romana'), before, 'what is run after a check is carried out');
});
