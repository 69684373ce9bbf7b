import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isKernelError, KernelError } from '../../src/kernel/kernel-error.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../../src/kernel/netlink.ts';
import type { NetlinkRequest } from '../../src/kernel/netlink-codec.ts';
import type { Command, ElementCommand } from '../../src/nft/command.ts';
import { isOfElements } from '../../src/nft/command.ts';
import { delta, deltaText } from '../../src/nft/delta.ts';
import { FakeNft } from '../../src/nft/fake-nft.ts';
import type { Nft } from '../../src/nft/nft.ts';
import { NftError } from '../../src/nft/nft.ts';
import type { NftSet, Ruleset } from '../../src/nft/ruleset.ts';
import { replaceText } from '../../src/nft/text.ts';
import { TestNetns } from '../support/netns.ts';

const address4 = fc.nat({ max: 40 }).map((last) => `10.1.17.${last}`);
const address6 = fc.nat({ max: 40 }).map((last) => `fd00:10::1:0:0:${(last + 1).toString(16)}`);
const ifname = fc.nat({ max: 20 }).map((n) => `"roma${n.toString(16).padStart(11, '0')}"`);
const proto = fc.constantFrom('tcp', 'udp', 'sctp', 'icmp', 'ipv6-icmp');
const port = fc.constantFrom('0', '1', '53', '80', '443', '8080', '65535');
const chain = fc.constantFrom('in-a', 'in-b', 'in-c').map((name) => `jump ${name}`);

/** Every type of field that we encode, alone and in the concatenations that our rules look up. */
const KEYS: Readonly<Record<string, readonly [type: string, ...fields: fc.Arbitrary<string>[]]>> = {
  endpoints4: ['ifname . ipv4_addr', ifname, address4],
  endpoints6: ['ifname . ipv6_addr', ifname, address6],
  self: ['ifname . ifname', ifname, ifname],
  names: ['ifname', ifname],
  peers4: ['ipv4_addr', address4],
  peers6: ['ipv6_addr', address6],
  protocols: ['inet_proto', proto],
  services: ['inet_service', port],
  ports: ['inet_proto . inet_service', proto, port],
  ports4: ['ipv4_addr . inet_proto . inet_service', address4, proto, port],
  ports6: ['ipv6_addr . inet_proto . inet_service', address6, proto, port],
  ingress4: ['ipv4_addr : verdict', address4],
  ingress6: ['ipv6_addr : verdict', address6],
};

function elementsOf(
  fields: readonly fc.Arbitrary<string>[],
  value: fc.Arbitrary<string>,
): fc.Arbitrary<NftSet['elements']> {
  const key = fc.tuple(...fields).map((texts) => texts.join(' . '));
  return fc
    .uniqueArray(fc.tuple(key, value), { maxLength: 5, selector: ([text]) => text })
    .map((list) => new Map(list));
}

const sets: fc.Arbitrary<Ruleset['sets']> = fc
  .tuple(
    ...Object.entries(KEYS).map(([name, [type, ...fields]]) => {
      const isMap = type.endsWith(' : verdict');
      return elementsOf(fields, isMap ? chain : fc.constant('')).map((elements): readonly [string, NftSet] => [
        name,
        { kind: isMap ? 'map' : 'set', type, flags: [], autoMerge: false, elements },
      ]);
    }),
  )
  .map((list) => new Map(list));

function ruleset(of: Ruleset['sets']): Ruleset {
  const chains: Ruleset['chains'] = new Map([
    ['in-a', { rules: ['ip saddr @peers4 accept'] }],
    ['in-b', { rules: ['meta l4proto . th dport @ports accept'] }],
    ['in-c', { rules: ['jump in-b', 'drop'] }],
    [
      'forward',
      {
        hook: { type: 'filter', hook: 'forward', priority: 'filter' },
        rules: ['ip daddr vmap @ingress4', 'ip6 daddr vmap @ingress6'],
      },
    ],
  ]);
  return { table: 'romana', sets: of, chains };
}

/** A listing with the elements of each set sorted: the kernel keeps them by a hash of its own. */
function sorted(listing: string): string {
  return listing.replaceAll(/elements = \{([^}]*)\}/g, (_, list: string) => {
    const elements = list.split(',').map((element) => element.trim());
    return `elements = { ${elements.sort().join(', ')} }`;
  });
}

test('R12: LibNft.change leaves the kernel as the text of the same delta does', async () => {
  await using byChange = TestNetns.create('change');
  await using byText = TestNetns.create('text');
  using changed = new LibNft({ netns: byChange.path });
  using told = new LibNft({ netns: byText.path });
  const [first, ...states] = fc.sample(sets.map(ruleset), { numRuns: 60, seed: 12 });
  let before = first ?? assert.fail('no states');
  for (const nft of [changed, told]) nft.run(replaceText(before));
  let went = 0;
  for (const after of states) {
    const commands = delta(before, after) ?? assert.fail('a chain changed its hook');
    assert.ok(commands.every(isOfElements), 'more than elements differ');
    assert.equal(changed.change(commands), true);
    went += commands.length;
    told.run(deltaText(before, after));
    const listing = sorted(changed.list('romana'));
    assert.equal(listing, sorted(told.list('romana')));
    before = after;
  }
  assert.ok(went >= states.length - 1, `${went} commands`);
  // By another program and loaded afresh, too.
  const listed = await byChange.run(['nft', 'list', 'table', 'inet', 'romana']);
  told.run(replaceText(before));
  assert.equal(sorted(listed), sorted(told.list('romana')));
});

const START = `add table inet romana
add chain inet romana base { type filter hook forward priority filter; policy accept; }
add chain inet romana in-a
add set inet romana peers4 { type ipv4_addr; }
add map inet romana ingress4 { type ipv4_addr : verdict; }
add rule inet romana base ip daddr vmap @ingress4
add element inet romana peers4 { 10.1.17.3 }
add element inet romana ingress4 { 10.1.17.3 : jump in-a }
`;
/** One element that comes or goes. */
interface Change {
  readonly op: 'add' | 'delete';
  readonly set: string;
  readonly type: string;
  readonly key: string;
  readonly value: string;
}
const PEER: Change = { set: 'peers4', type: 'ipv4_addr', op: 'add', key: '10.1.17.4', value: '' };
const LEAD: Change = {
  set: 'ingress4',
  type: 'ipv4_addr : verdict',
  op: 'add',
  key: '10.1.17.4',
  value: 'jump in-a',
};

function commandsOf(changes: readonly Change[], table = 'romana'): readonly ElementCommand[] {
  return changes.map(({ op, set, type, key, value }) => {
    return { verb: `${op} element`, table, name: set, type, elements: [[key, value]] };
  });
}

/** What the kernel refuses, by the errno that it gives; the fake refuses the same. */
const REFUSED: readonly (readonly [what: string, change: Change, errno: string])[] = [
  ['a set that is not there', { ...PEER, set: 'gone' }, 'ENOENT'],
  ['a chain that is not there', { ...LEAD, value: 'jump gone' }, 'ENOENT'],
  ['a jump to a base chain', { ...LEAD, value: 'jump base' }, 'EOPNOTSUPP'],
  ['an element to delete that is not there', { ...PEER, op: 'delete', key: '10.1.17.5' }, 'ENOENT'],
  ['an element of a map to delete that is not there', { ...LEAD, op: 'delete', key: '10.1.17.5', value: '' }, 'ENOENT'],
  ['an element to add that is there', { ...PEER, key: '10.1.17.3' }, 'EEXIST'],
  ['an element of a map to add that is there', { ...LEAD, key: '10.1.17.3' }, 'EEXIST'],
  ['a key of another type', { ...PEER, type: 'ipv6_addr', key: 'fd00::1' }, 'EINVAL'],
  ['a verdict for a set', { ...LEAD, set: 'peers4' }, 'EINVAL'],
  ['an element without a verdict for a map', { ...PEER, set: 'ingress4' }, 'EINVAL'],
];

function contract(nft: Nft, errnoOf: (error: NftError) => string | undefined): void {
  nft.run(START);
  const before = nft.list('romana');
  for (const [what, bad, errno] of REFUSED) {
    for (const changes of [[bad], [PEER, LEAD, bad], [bad, PEER, LEAD], [PEER, bad, LEAD]]) {
      const refused = (error: unknown): boolean => {
        assert.ok(error instanceof NftError, String(error));
        assert.ok([undefined, errno].includes(errnoOf(error)), `${what}: ${error.message}`);
        return true;
      };
      assert.throws(() => nft.change(commandsOf(changes)), refused, what);
      assert.equal(nft.list('romana'), before, `${what} changes nothing`);
    }
  }
  assert.throws(() => nft.change(commandsOf([PEER], 'other')), NftError, 'a table that is not there');
  assert.equal(nft.change(commandsOf([])), true);
  assert.equal(nft.change(commandsOf([PEER, { ...PEER, key: '10.1.0.0/16' }])), false);
  assert.equal(nft.change(commandsOf([PEER, { ...LEAD, value: 'accept' }])), false);
  assert.equal(nft.list('romana'), before, 'what cannot go this way changes nothing');

  const back = { ...LEAD, key: '10.1.17.3', op: 'delete', value: '' } as const;
  assert.equal(nft.change(commandsOf([PEER, LEAD, back, { ...back, op: 'add', value: 'jump in-a' }])), true);
  assert.match(nft.list('romana'), /10\.1\.17\.4 : jump in-a/);
  assert.equal(
    nft.change(
      commandsOf([
        { ...PEER, op: 'delete' },
        { ...LEAD, op: 'delete', value: '' },
      ]),
    ),
    true,
  );
  assert.equal(sorted(nft.list('romana')), sorted(before));
}

test('LibNft.change does all or nothing, and says which change the kernel refused', async () => {
  await using ns = TestNetns.create('contract');
  using nft = new LibNft({ netns: ns.path });
  contract(nft, ({ cause }) => (cause instanceof KernelError ? cause.code : 'none'));
  assert.throws(
    () => nft.change(commandsOf([PEER, { ...PEER, key: '10.1.17.5', op: 'delete' }, LEAD])),
    /: cannot delete element inet romana peers4 \{ 10\.1\.17\.5 \}: ENOENT/,
  );
});

test('FakeNft.change refuses what LibNft.change refuses', () => {
  contract(new FakeNft(), () => undefined);
});

test('LibNft.change takes as many changes as one message holds, of the longest names and of short ones', async () => {
  await using ns = TestNetns.create('longest');
  using nft = new LibNft({ netns: ns.path });
  const type = 'ipv6_addr . inet_proto . inet_service : verdict';
  for (const [name, fits, tooMany] of [
    ['n'.repeat(200), 250, 400],
    ['n', 2_000, 4_000],
  ] as const) {
    nft.run(`add table inet ${name}
add chain inet ${name} ${name}
add map inet ${name} ${name} { type ${type}; }`);
    const add = (count: number): Command => ({
      verb: 'add element',
      table: name,
      name,
      type,
      elements: Array.from({ length: count }, (_, n) => [`fd00::${(n + 1).toString(16)} . tcp . 80`, `jump ${name}`]),
    });
    const before = nft.list(name);
    assert.equal(nft.change([add(tooMany * 2)]), false);
    assert.equal(nft.list(name), before);
    assert.equal(nft.change([add(fits)]), true);
    assert.equal(nft.list(name).split(' : jump ').length - 1, fits);
  }
});

test('LibNft.change works on after an error, and with text in between', async () => {
  await using ns = TestNetns.create('mixed');
  using nft = new LibNft({ netns: ns.path });
  nft.run(START);
  for (let n = 10; n < 20; n += 1) {
    assert.throws(() => nft.change(commandsOf([{ ...PEER, set: 'gone' }, PEER])), NftError);
    assert.equal(nft.change(commandsOf([{ ...PEER, key: `10.1.17.${n}` }])), true);
    nft.run(`add element inet romana peers4 { 10.1.18.${n} }`);
    nft.run(`delete element inet romana peers4 { 10.1.17.${n} }`);
    assert.equal(nft.change(commandsOf([{ ...PEER, key: `10.1.18.${n}`, op: 'delete' }])), true);
  }
  assert.match(nft.list('romana'), /elements = \{ 10\.1\.17\.3 \}/);
});

test('LibNft.change is refused a loop, which the kernel finds when it validates the whole table', async () => {
  await using ns = TestNetns.create('loop');
  using nft = new LibNft({ netns: ns.path });
  nft.run(`${START}add rule inet romana in-a ip saddr vmap @ingress4\nflush map inet romana ingress4`);
  const before = nft.list('romana');
  for (let n = 0; n < 3; n += 1) {
    // The chain that the map leads to looks into the map: a loop.
    assert.throws(
      () => nft.change(commandsOf([PEER, LEAD])),
      (error) => error instanceof NftError && error.cause instanceof KernelError && error.cause.code === 'EMLINK',
    );
    assert.equal(nft.list('romana'), before);
    assert.equal(nft.change(commandsOf([{ ...PEER, key: '10.1.17.9' }])), true);
    assert.equal(nft.change(commandsOf([{ ...PEER, key: '10.1.17.9', op: 'delete' }])), true);
  }
});

test('NetlinkSocket.transaction throws at once when the kernel takes no batch or it is too long', async () => {
  await using ns = TestNetns.create('batch');
  using socket = NetlinkSocket.open(NETLINK_NETFILTER, { netns: ns.path });
  // Subsystem 1, ctnetlink, has no batches; the kernel says so of the beginning, and nothing of the rest.
  const begin: NetlinkRequest = { type: 0x10, flags: 0, body: Buffer.from([0, 0, 0, 1]), what: 'try' };
  const end = { ...begin, type: 0x11 };
  const request = { type: 0x0a0c, flags: 0, body: Buffer.alloc(4), what: 'change nothing' };
  assert.throws(
    () => socket.transaction(begin, [request], end),
    (error) => isKernelError(error, 'EOPNOTSUPP') && error.what === 'try',
  );
  assert.throws(
    () => socket.transaction(begin, [{ ...request, body: Buffer.alloc(192 * 1024) }], end),
    (error) => isKernelError(error, 'EMSGSIZE'),
  );
});
