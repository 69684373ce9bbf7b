import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BASE_DIRECTORIES,
  clusterLayout,
  minionsUpTo,
  nextMinion,
  parseClusterName,
  parseMinions,
} from './cluster-layout.ts';
import { cableBatch, fabricBatch, namespacesOf, nodeBatch } from './fabric.ts';

test('clusterLayout gives the master .10 and minion N .10+N, and network namespaces by the cluster name', () => {
  const layout = clusterLayout('x', 2);
  assert.deepEqual(
    layout.nodes.map(({ name, master, addresses }) => [name, master, ...addresses]),
    [
      ['master', true, '192.168.99.10', 'fd00:99::10'],
      ['minion1', false, '192.168.99.11', 'fd00:99::11'],
      ['minion2', false, '192.168.99.12', 'fd00:99::12'],
    ],
  );
  assert.deepEqual(namespacesOf(layout), ['x-fabric', 'x-master', 'x-minion1', 'x-minion2']);
});

test('clusterLayout gives the nodes of a single-stack cluster no address of the other family', () => {
  const kind = { flavour: 'kubernetes', families: [6] } as const;
  const [, minion] = clusterLayout('x', 1, BASE_DIRECTORIES, kind).nodes;
  assert.ok(minion);
  assert.deepEqual(minion.addresses, ['fd00:99::11']);
  assert.equal(
    nodeBatch(minion),
    `addr add fd00:99::11/64 dev eth0 nodad
link set eth0 up
route add ::/0 via fd00:99::1
`,
  );
});

for (const name of ['romana', 'a', 'a-1', '0', 'x'.repeat(40)]) {
  test(`parseClusterName takes ${name}`, () => assert.equal(parseClusterName(name).ok, true));
}

for (const name of ['', '-a', 'a-', 'A', 'a.b', 'a/b', '..', 'a b', 'x'.repeat(41)]) {
  test(`parseClusterName refuses '${name}'`, () => assert.equal(parseClusterName(name).ok, false));
}

test('parseMinions takes 1 to 4', () => {
  assert.deepEqual(
    ['0', '1', '4', '5', '', '1.0', '-1', 'two'].map((text) => parseMinions(text).ok),
    [false, true, true, false, false, false, false, false],
  );
});

function nextOf(...call: Parameters<typeof nextMinion>): unknown {
  const result = nextMinion(...call);
  return result.ok ? [result.value.name, result.value.number] : result.error;
}

test('nextMinion takes the lowest number that is free, and the name that goes with it or the one given', () => {
  const two = minionsUpTo(2);
  const gap = [{ name: 'minion2', number: 2 }];
  const named = [{ name: 'minion2', number: 1 }];
  assert.deepEqual(nextOf(two), ['minion3', 3]);
  assert.deepEqual(nextOf(two, 'worker'), ['worker', 3]);
  assert.deepEqual(nextOf(two, 'minion4'), ['minion4', 4]);
  assert.deepEqual(nextOf(gap), ['minion1', 1]);
  assert.deepEqual(nextOf(gap, 'x'), ['x', 1]);
  assert.deepEqual(nextOf(named), ['minion3', 2]);
  assert.deepEqual(
    clusterLayout('x', [...gap, { name: 'y', number: 1 }]).nodes.map((node) => [node.name, node.after, node.netns]),
    [
      ['master', undefined, 'x-master'],
      ['minion2', 'master', 'x-minion2'],
      ['y', 'minion2', 'x-y'],
    ],
  );
});

test('nextMinion refuses names that are taken or are none, and a fifth minion', () => {
  for (const [name, why] of [
    ['minion1', /there is a node 'minion1' already/],
    ['master', /the cluster itself has something of it/],
    ['fabric', /the cluster itself has something of it/],
    ['A', /can't be a node's name/],
    ['a-', /can't be a node's name/],
    ['a.b', /can't be a node's name/],
    ['a234567890123456', /at most 15/],
  ] as const) {
    const result = nextMinion(minionsUpTo(1), name);
    assert.ok(!result.ok && why.test(result.error), name);
  }
  const full = nextMinion(minionsUpTo(4));
  assert.ok(!full.ok && full.error.includes('at most 4 minions, and there are minion1, minion2'));
});

test('fabricBatch, cableBatch and nodeBatch are what a person would type for ip -batch', () => {
  const layout = clusterLayout('x', 1);
  assert.equal(
    fabricBatch(),
    `link add br0 type bridge forward_delay 0 mcast_snooping 0
addr add 192.168.99.1/24 dev br0
addr add fd00:99::1/64 dev br0 nodad
link set br0 up
`,
  );
  const minion = layout.nodes[1];
  assert.ok(minion);
  assert.equal(
    cableBatch(minion),
    `link add name minion1 type veth peer name eth0 address 02:00:c0:a8:63:0b netns x-minion1
link set dev minion1 master br0 up
`,
  );
  assert.equal(
    nodeBatch(minion),
    `addr add 192.168.99.11/24 dev eth0
addr add fd00:99::11/64 dev eth0 nodad
link set eth0 up
route add default via 192.168.99.1
route add ::/0 via fd00:99::1
`,
  );
});
