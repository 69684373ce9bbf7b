import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { isOfElements } from './command.ts';
import { delta, deltaText } from './delta.ts';
import { FakeNft } from './fake-nft.ts';
import { emptyRuleset } from './ruleset.ts';
import type { NftChain, NftSet, Ruleset } from './ruleset.ts';
import { replaceText } from './text.ts';

const CHAINS = ['a', 'b', 'c', 'd'];
const FORWARD: NftChain = { hook: { type: 'filter', hook: 'forward', priority: 'filter' }, rules: [] };

function set(type: string, elements: readonly string[], flags: readonly string[] = []): NftSet {
  return { kind: 'set', type, flags, autoMerge: false, elements: new Map(elements.map((key) => [key, ''])) };
}

function verdictMap(elements: Readonly<Record<string, string>>): NftSet {
  const jumps = Object.entries(elements).map(([key, chain]) => [key, `jump ${chain}`] as const);
  return { kind: 'map', type: 'ipv4_addr : verdict', flags: [], autoMerge: false, elements: new Map(jumps) };
}

function ruleset(sets: Readonly<Record<string, NftSet>>, chains: Readonly<Record<string, NftChain>>): Ruleset {
  return { table: 'romana', sets: new Map(Object.entries(sets)), chains: new Map(Object.entries(chains)) };
}

function watched(elements: readonly string[]): Ruleset {
  return ruleset({ s: set('ipv4_addr', elements) }, { forward: { ...FORWARD, rules: ['ip saddr @s drop'] } });
}

const address = fc.nat({ max: 30 }).map((last) => `10.0.0.${last}`);

/** Rulesets whose references are all valid: rules name sets that are there, chains jump only to later ones. */
const rulesets: fc.Arbitrary<Ruleset> = fc
  .record({
    plain: fc.dictionary(fc.constantFrom('s1', 's2', 's3'), fc.uniqueArray(address, { maxLength: 6 })),
    ranges: fc.option(fc.uniqueArray(fc.nat({ max: 9 }), { maxLength: 5 })),
    comment: fc.constantFrom(undefined, 'pods; of, "no" one'.replaceAll('"', "'")),
    portsAsRange: fc.boolean(),
    chains: fc.uniqueArray(fc.constantFrom(...CHAINS)),
    jumps: fc.array(fc.tuple(fc.constantFrom(...CHAINS), fc.constantFrom(...CHAINS)), { maxLength: 6 }),
    looks: fc.array(fc.tuple(fc.constantFrom(...CHAINS), fc.constantFrom('s1', 's2', 's3', 'ports')), { maxLength: 6 }),
    map: fc.option(fc.dictionary(address, fc.constantFrom(...CHAINS), { maxKeys: 6 })),
  })
  .map((seed) => {
    const sets: Record<string, NftSet> = {};
    for (const [name, elements] of Object.entries(seed.plain)) {
      sets[name] = { ...set('ipv4_addr', elements), ...(seed.comment === undefined ? {} : { comment: seed.comment }) };
    }
    if (seed.ranges !== null) {
      sets.hosts = set(
        'ipv4_addr',
        seed.ranges.map((host) => `10.${host}.0.0/16`),
        ['interval'],
      );
    }
    sets.ports = seed.portsAsRange
      ? set('inet_proto . inet_service', ['tcp . 80-90'], ['interval'])
      : set('inet_proto . inet_service', ['tcp . 80']);
    const rules = new Map(seed.chains.map((name) => [name, [] as string[]]));
    for (const [from, to] of seed.jumps) if (from < to && rules.has(to)) rules.get(from)?.push(`jump ${to}`);
    for (const [chain, name] of seed.looks) {
      if (sets[name] === undefined) continue;
      rules.get(chain)?.push(name === 'ports' ? 'meta l4proto . th dport @ports return' : `ip saddr @${name} drop`);
    }
    const forward: string[] = [];
    if (seed.map !== null) {
      const there = Object.entries(seed.map).filter(([, chain]) => rules.has(chain));
      sets.lead = verdictMap(Object.fromEntries(there));
      forward.push('ip daddr vmap @lead');
    }
    const chains: Record<string, NftChain> = { forward: { ...FORWARD, rules: forward } };
    for (const [name, list] of rules) chains[name] = { rules: list };
    return ruleset(sets, chains);
  });

test('deltaText makes the one of the other, for any two rulesets', () => {
  fc.assert(
    fc.property(rulesets, rulesets, (before, after) => {
      const nft = new FakeNft();
      nft.run(replaceText(before));
      assert.deepEqual(nft.ruleset('romana'), before);
      nft.run(deltaText(before, after));
      assert.deepEqual(nft.ruleset('romana'), after);
    }),
  );
});

test('deltaText is empty for equal rulesets', () => {
  fc.assert(fc.property(rulesets, (r) => deltaText(r, structuredClone(r)) === ''));
});

test('deltaText of one more element is that element, whatever else is in the table', () => {
  assert.equal(
    deltaText(watched(['10.0.0.3']), watched(['10.0.0.3', '10.0.0.4', '10.0.0.5'])),
    'add element inet romana s { 10.0.0.4, 10.0.0.5 }\n',
  );
});

test('deltaText takes the elements that lead to a chain out before the chain', () => {
  const before = ruleset({ lead: verdictMap({ '10.0.0.3': 'a' }) }, { a: { rules: ['drop'] } });
  const after = ruleset({ lead: verdictMap({ '10.0.0.3': 'b' }) }, { b: { comment: 'new', rules: ['drop'] } });
  assert.equal(
    deltaText(before, after),
    [
      'add chain inet romana b { comment "new"; }',
      'add rule inet romana b drop',
      'delete element inet romana lead { 10.0.0.3 }',
      'add element inet romana lead { 10.0.0.3 : jump b }',
      'flush chain inet romana a',
      'delete chain inet romana a',
      '',
    ].join('\n'),
  );
});

function chain(...rules: readonly string[]): Ruleset {
  return ruleset({}, { a: { rules } });
}

/** What becomes of rules, by their places. */
function edit(before: Ruleset, after: Ruleset): readonly unknown[] {
  return (delta(before, after) ?? []).map((command) => ('kept' in command ? command.kept : command.verb));
}

test('delta writes of a chain that is there the rules alone that are new', () => {
  assert.deepEqual(edit(chain('accept', 'drop'), chain('accept', 'return', 'drop')), [[0, undefined, 1]]);
  assert.deepEqual(edit(chain('accept', 'return', 'drop'), chain('accept', 'drop')), [[0, 2]]);
  // One that comes twice stands for each of itself; of two that changed places one is written anew.
  assert.deepEqual(edit(chain('drop', 'drop'), chain('drop', 'drop', 'drop')), [[0, 1, undefined]]);
  assert.deepEqual(edit(chain('accept', 'drop'), chain('drop', 'accept')), [[1, undefined]]);
  assert.deepEqual(edit(chain('accept'), chain('drop')), ['flush chain', 'add rule']);
});

test('deltaText replaces the table when a chain moves to another hook', () => {
  const before = ruleset({}, { a: FORWARD });
  const after = ruleset({}, { a: { ...FORWARD, hook: { type: 'filter', hook: 'input', priority: 'filter' } } });
  assert.equal(deltaText(before, after), replaceText(after));
});

test('deltaText refuses to make one table of another', () => {
  assert.throws(() => deltaText(emptyRuleset('a'), emptyRuleset('b')), RangeError);
});

test('delta makes the one of the other as commands too, if all of them can be encoded', () => {
  let went = 0;
  fc.assert(
    fc.property(rulesets, rulesets, (before, after) => {
      const nft = new FakeNft();
      nft.run(replaceText(before));
      if (!nft.change(delta(before, after) ?? assert.fail('no hook differs'))) return;
      went += 1;
      assert.deepEqual(nft.ruleset('romana'), after);
    }),
    { numRuns: 500 },
  );
  // The others have intervals, or a map in the hook.
  assert.ok(went > 5, `${went} of 500`);
});

test('delta is of elements alone when nothing else differs', () => {
  fc.assert(
    fc.property(rulesets, rulesets, (before, other) => {
      const after = { ...before, sets: new Map(before.sets) };
      for (const [name, set] of before.sets) {
        const { elements } = other.sets.get(name) ?? set;
        // What a map of the other leads to may not be here.
        if (set.flags.length > 0 || !leadsInto(before, elements) || elements.has('tcp . 80-90')) continue;
        after.sets.set(name, { ...set, elements });
      }
      const commands = delta(before, after) ?? assert.fail('no hook differs');
      assert.ok(commands.every(isOfElements), deltaText(before, after));
      const nft = new FakeNft();
      nft.run(replaceText(before));
      assert.equal(nft.change(commands), true);
      assert.deepEqual(nft.ruleset('romana'), after);
    }),
  );
});

test('delta does not give the type of sets of intervals, whose elements only text can say', () => {
  const ranges = (...elements: string[]): NftSet => set('ipv4_addr', elements, ['interval']);
  const before = ruleset({ hosts: ranges(), s: set('ipv4_addr', []) }, {});
  const after = ruleset({ hosts: ranges('10.1.0.0/16'), s: set('ipv4_addr', ['10.0.0.3']) }, {});
  const add = { verb: 'add element', table: 'romana' } as const;
  assert.deepEqual(delta(before, after), [
    { ...add, name: 'hosts', type: undefined, elements: [['10.1.0.0/16', '']] },
    { ...add, name: 's', type: 'ipv4_addr', elements: [['10.0.0.3', '']] },
  ]);
});

test('delta takes a key out and puts it in again when what a map gives for it changes', () => {
  const chains = { a: { rules: ['drop'] }, b: { rules: ['drop'] } };
  const lead = { table: 'romana', name: 'lead', type: 'ipv4_addr : verdict' };
  assert.deepEqual(
    delta(
      ruleset({ lead: verdictMap({ '10.0.0.3': 'a' }) }, chains),
      ruleset({ lead: verdictMap({ '10.0.0.3': 'b' }) }, chains),
    ),
    [
      { ...lead, verb: 'delete element', elements: [['10.0.0.3', '']] },
      { ...lead, verb: 'add element', elements: [['10.0.0.3', 'jump b']] },
    ],
  );
});

test('R12: what deltaText leaves in the kernel is listed by nft(8) as if it had been loaded afresh', (t) => {
  const namespace = `rt-${process.pid}-delta`;
  execFileSync('ip', ['netns', 'add', namespace]);
  t.after(() => execFileSync('ip', ['netns', 'delete', namespace]));
  const nft = (args: readonly string[], input?: string): string =>
    execFileSync('ip', ['netns', 'exec', namespace, 'nft', ...args], {
      encoding: 'utf8',
      ...(input === undefined ? {} : { input }),
    });
  const listing = (): string[] => blocks(nft(['list', 'table', 'inet', 'romana']));

  const states = fc.sample(rulesets, { numRuns: 24, seed: 7 });
  let before = emptyRuleset('romana');
  nft(['-f', '-'], replaceText(before));
  for (const after of states) {
    nft(['-f', '-'], `${deltaText(before, after)}\n`);
    const changed = listing();
    nft(['-f', '-'], replaceText(after));
    assert.deepEqual(changed, listing(), deltaText(before, after));
    before = after;
  }
});

function leadsInto({ chains }: Ruleset, elements: NftSet['elements']): boolean {
  return [...elements.values()].every((value) => value === '' || chains.has(value.slice('jump '.length)));
}

/** The sets and chains of a listing, each with its elements sorted: their order is that of their making. */
function blocks(listing: string): string[] {
  const inner = listing.replace(/^table inet romana \{\n/, '').replace(/\}\n$/, '');
  return inner
    .split(/\n\n/)
    .map((block) =>
      block.trim().replace(
        /elements = \{([^}]*)\}/,
        (_, list: string) =>
          `elements = {${list
            .split(',')
            .map((e) => e.trim())
            .sort()
            .join()}}`,
      ),
    )
    .sort();
}
