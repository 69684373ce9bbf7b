import { test } from 'node:test';
import assert from 'node:assert/strict';
import { rulesetText } from './text.ts';
import type { Ruleset } from './ruleset.ts';

const RULESET: Ruleset = {
  table: 'romana',
  sets: new Map([
    [
      'own4',
      {
        kind: 'set',
        type: 'ipv4_addr',
        flags: ['interval'],
        autoMerge: false,
        elements: new Map([['10.1.0.0/16', '']]),
      },
    ],
    [
      'ingress4',
      {
        kind: 'map',
        type: 'ipv4_addr : verdict',
        flags: [],
        autoMerge: false,
        comment: 'by destination',
        elements: new Map([
          ['10.1.17.4', 'jump in-isolated'],
          ['10.1.17.3', 'jump in-isolated'],
        ]),
      },
    ],
  ]),
  chains: new Map([
    ['in-isolated', { comment: 'isolated, no policy', rules: ['drop'] }],
    ['forward', { hook: { type: 'filter', hook: 'forward', priority: 'filter' }, rules: ['ip daddr vmap @ingress4'] }],
  ]),
};

test('rulesetText writes what a person would type, base chains before the others', () => {
  assert.equal(
    rulesetText(RULESET),
    `table inet romana {
	map ingress4 {
		type ipv4_addr : verdict
		comment "by destination"
		elements = { 10.1.17.3 : jump in-isolated,
			10.1.17.4 : jump in-isolated }
	}

	set own4 {
		type ipv4_addr
		flags interval
		elements = { 10.1.0.0/16 }
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ip daddr vmap @ingress4
	}

	chain in-isolated {
		comment "isolated, no policy"
		drop
	}
}
`,
  );
});

function oneChain(name: string, comment: string): Ruleset {
  return { table: 'romana', sets: new Map(), chains: new Map([[name, { comment, rules: [] }]]) };
}

test('rulesetText refuses a name or a comment that would end early in nft', () => {
  assert.throws(() => rulesetText(oneChain('a b', '')), /cannot be the name/);
  assert.throws(() => rulesetText(oneChain('a', 'x"; drop; "')), /nft takes no comment/);
  assert.throws(() => rulesetText(oneChain('a', 'x'.repeat(129))), /nft takes no comment/);
});
