import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../../src/kernel/netlink.ts';
import { attributesIn, BodyWriter } from '../../src/kernel/netlink-codec.ts';
import { delta, deltaText } from '../../src/nft/delta.ts';
import { encodeRule } from '../../src/nft/encode-rule.ts';
import type { NftChain, NftSet, Ruleset } from '../../src/nft/ruleset.ts';
import { replaceText } from '../../src/nft/text.ts';
import { plan } from '../../src/plan/desired.ts';
import { histories } from '../../src/plan/random-histories.ts';
import { worlds } from '../../src/plan/random-worlds.ts';
import { TestNetns } from '../support/netns.ts';

// linux/netfilter/nf_tables.h: what lists chains, rules and sets, and the attribute of each that is its handle.
const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_INET = 1;
const LISTS = [
  { what: 'chains', type: 4, handles: [2] },
  { what: 'rules', type: 7, handles: [3, 6] },
  { what: 'sets', type: 10, handles: [16] },
] as const;

/** An nftables of its own, and all that the kernel tells of what is in it. */
class Host {
  readonly nft: LibNft;
  readonly #socket: NetlinkSocket;

  constructor({ path: netns }: TestNetns) {
    this.nft = new LibNft({ netns });
    this.#socket = NetlinkSocket.open(NETLINK_NETFILTER, { netns });
  }

  /** In bytes: chains by name, sets as they were made, rules in their order; without handles, which count changes. */
  kernel(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries(
      LISTS.map(({ what, type, handles }) => {
        const body = new BodyWriter().u8(NFPROTO_INET).u8(0).u16(0).finish();
        const request = { type: (NFNL_SUBSYS_NFTABLES << 8) | type, flags: 0, body, what: `list ${what}` };
        const lines = this.#socket.dump(request, ({ buffer, start, end }) =>
          [...attributesIn(buffer, start + 4, end)]
            .filter(([attribute]) => !(handles as readonly number[]).includes(attribute))
            .map(([attribute, value]) => `${attribute}: ${value.toString('latin1')}`)
            .join('\n')
            // Names of sets in braces are given as they come; at most two digits, which change no length but their own.
            .replaceAll(/(?:[^_]{4})?__set\d+\0+/g, '__set'),
        );
        return [what, what === 'rules' ? lines : lines.sort()];
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    this.nft.close();
  }
}

async function withHosts(act: (text: Host, batch: Host) => void): Promise<void> {
  await using one = TestNetns.create('text');
  await using other = TestNetns.create('batch');
  using text = new Host(one);
  using batch = new Host(other);
  act(text, batch);
}

/** Brings both from `before` to `after`, each its way; both are the same to the kernel then, and as if put whole. */
function check(text: Host, batch: Host, before: Ruleset, after: Ruleset): void {
  for (const { nft } of [text, batch]) nft.run(replaceText(before));
  text.nft.run(deltaText(before, after));
  assert.equal(batch.nft.change(delta(before, after) ?? assert.fail('a chain changed its hook')), true);
  assert.deepEqual(batch.kernel(), text.kernel());
  const listed = batch.nft.list(after.table);
  assert.equal(listed, text.nft.list(after.table));
}

/** Hooks, which libnftables alone puts, and one of which is there only when pods may be kept from their host. */
function withoutHooks(ruleset: Ruleset): Ruleset {
  return { ...ruleset, chains: new Map([...ruleset.chains].filter(([, { hook }]) => hook === undefined)) };
}

test('what a batch of netlink leaves in the kernel is byte for byte what libnftables leaves, for random worlds', async () => {
  await withHosts((text, batch) => {
    fc.assert(
      fc.property(worlds, worlds, (one, other) => {
        check(text, batch, withoutHooks(plan(one.snapshot).ruleset), withoutHooks(plan(other.snapshot).ruleset));
      }),
      { numRuns: 200 },
    );
  });
});

const TYPES = [
  'ipv4_addr',
  'ipv6_addr',
  'inet_proto',
  'inet_service',
  'ifname',
  'ifname . ipv4_addr',
  'ipv4_addr . inet_proto',
  'ipv6_addr . inet_proto',
  'inet_proto . inet_service',
  'ipv4_addr . inet_proto . inet_service',
  'ipv6_addr . inet_proto . inet_service',
  'ipv4_addr : verdict',
  'ipv6_addr : verdict',
];
/** Every form of condition, whether the random worlds come by it or not. */
const CONDITIONS = [
  '',
  ...['ip saddr', 'ip daddr & 255.255.255.255', 'ip saddr & 0.0.0.0', 'ip daddr & 255.0.240.1'].flatMap((left) => [
    `${left} @s0`,
    `${left} == @s0`,
    `${left} != @s0`,
    `${left} @s0 ${left} != @s0`,
    `${left} . meta l4proto @s6`,
    `${left} . meta l4proto . th dport @s9`,
    `${left} . meta l4proto . th dport & 0xff80 @s9`,
  ]),
  ...['ip6 saddr', 'ip6 daddr & ffff::', 'ip6 daddr & ::ffff:0:0:1', 'ip6 saddr & ::'].flatMap((left) => [
    `${left} @s1`,
    `${left} != @s1`,
    `${left} . meta l4proto @s7`,
    `${left} . meta l4proto . th dport != @s10`,
    `${left} . meta l4proto . th dport & 0x8000 @s10`,
  ]),
  'meta l4proto @s2',
  'meta l4proto != @s2',
  'meta l4proto . th dport @s8',
  'meta l4proto . th dport & 0xfff0 @s8',
  ...['meta l4proto tcp', 'meta l4proto { udp }', 'meta l4proto sctp'].flatMap((left) => [
    left,
    `${left} th dport 0`,
    `${left} th dport 65535`,
    `${left} th dport 0-80`,
    `${left} th dport 81-65535`,
    `${left} ip daddr @s0`,
    `ip6 daddr @s1 ${left} th dport 80-443`,
  ]),
  'meta l4proto { tcp, sctp, udp }',
  'meta l4proto . th dport { tcp . 80, udp . 53, tcp . 1 }',
  'ip daddr @s0 meta l4proto . th dport { sctp . 80, sctp . 0 }',
];
const ENDS = [
  'accept',
  'drop comment "x"',
  'return comment ""',
  'jump next',
  `goto next comment "${'~'.repeat(128)}"`,
  'jump a_b-c.d/e',
];

/** The sets that the conditions name. */
const SETS = new Map(
  TYPES.map((type, n): [string, NftSet] => {
    const kind = type.includes(':') ? 'map' : 'set';
    const comment = n % 3 === 0 ? {} : { comment: '-'.repeat(n * 10) };
    return [`s${n}`, { kind, type, flags: [], autoMerge: false, ...comment, elements: new Map() }];
  }),
);
const CALLED: readonly (readonly [string, NftChain])[] = [
  ['next', { rules: ['drop'] }],
  ['a_b-c.d/e', { comment: 'called', rules: [] }],
];
const RULES = CONDITIONS.map((condition, n) => `${condition} ${ENDS[n % ENDS.length] ?? ''}`.trim()).concat(ENDS);

function withRules(rules: readonly string[]): Ruleset {
  return { table: 'romana', sets: SETS, chains: new Map([['edited', { rules }], ...CALLED]) };
}

test('a chain that is edited has its rules in their order, and those that stay are the same ones to the kernel', async () => {
  const chains = fc.array(fc.constantFrom(...RULES), { maxLength: 12 });
  await withHosts(({ nft: whole }, { nft }) => {
    let stayed = 0;
    fc.assert(
      fc.property(chains, chains, fc.array(fc.nat({ max: 12 }), { maxLength: 3 }), (one, other, cuts) => {
        // Two lists with much in common: the second is the first with some rules of another in places.
        const now = cuts.reduce((list, at, n) => list.toSpliced(at, n % 2, ...other.slice(n, n + 2)), one);
        nft.run(replaceText(withRules(one)));
        const before = nft.ruleTexts('romana', 'edited');
        assert.equal(nft.change(delta(withRules(one), withRules(now)) ?? assert.fail('no hook differs')), true);
        whole.run(replaceText(withRules(now)));
        assert.equal(nft.list('romana'), whole.list('romana'));
        const after = nft.ruleTexts('romana', 'edited');
        for (const [handle, text] of before) if (after.get(handle) === text) stayed += 1;
      }),
      { numRuns: 300 },
    );
    assert.ok(stayed > 600, `${stayed} rules stayed`);
  });
});

test('a chain that has other rules than it should have is not edited, but goes as text', async () => {
  await withHosts(({ nft: whole }, { nft }) => {
    const [before, after] = [withRules(['accept', 'drop', 'return']), withRules(['accept', 'return'])];
    nft.run(replaceText(before));
    nft.run('add rule inet romana edited accept');
    const commands = delta(before, after) ?? assert.fail('no hook differs');
    assert.equal(nft.change(commands), false);
    nft.run(deltaText(before, after));
    whole.run(replaceText(after));
    assert.equal(nft.list('romana'), whole.list('romana'));
  });
});

test('every form of rule and of set is encoded byte for byte as libnftables does it', async () => {
  for (const rule of RULES) assert.ok(encodeRule(rule) !== undefined, rule);
  const empty: Ruleset = { table: 'romana', sets: new Map(), chains: new Map() };
  await withHosts((text, batch) => {
    check(text, batch, empty, {
      ...empty,
      sets: SETS,
      chains: new Map([['every', { comment: '#'.repeat(128), rules: RULES }], ...CALLED]),
    });
  });
});

/** The blocks of a listing in an order of their own, and so the elements of each set: the kernel's order is that of making. */
function blocks(listing: string): readonly string[] {
  return listing
    .split(/\n\n|\{\n(?=\t(?:set|map|chain))/)
    .map((block) =>
      block.replace(/elements = \{([^}]*)\}/, (_, list: string) =>
        list
          .split(/,\s*/)
          .map((e) => e.trim())
          .sort()
          .join(),
      ),
    )
    .map((block) => block.replace(/[\s}]*$/, '').trim())
    .sort();
}

test('R12: a table after one batch upon the other is listed as if it had been put whole, for random histories', async () => {
  await withHosts((whole, batch) => {
    let went = 0;
    fc.assert(
      fc.property(histories, (snapshots) => {
        let before: Ruleset | undefined;
        for (const snapshot of snapshots) {
          const { ruleset } = plan(snapshot);
          if (before === undefined) batch.nft.run(replaceText(ruleset));
          else if (batch.nft.change(delta(before, ruleset) ?? assert.fail('a chain changed its hook'))) went += 1;
          else batch.nft.run(deltaText(before, ruleset));
          before = ruleset;
          whole.nft.run(replaceText(ruleset));
          assert.deepEqual(blocks(batch.nft.list('romana')), blocks(whole.nft.list('romana')));
        }
      }),
      { numRuns: 40 },
    );
    assert.ok(went > 40, `${went} batches`);
  });
});
