import { test } from 'node:test';
import assert from 'node:assert/strict';
import { FakeNft } from './fake-nft.ts';
import { NftError } from './nft.ts';

const START = `table inet romana {
	set s {
		type ipv4_addr
		elements = { 10.0.0.3 }
	}

	map m {
		type ipv4_addr : verdict
		elements = { 10.0.0.3 : jump a }
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ip saddr @s drop
		ip daddr vmap @m
	}

	chain a {
		drop
	}
}
`;

const REFUSED: Readonly<Record<string, string>> = {
  'add rule inet romana a ip saddr @gone drop': 'no set gone',
  'add rule inet romana a jump gone': 'no chain gone',
  'add rule inet romana a jump forward': 'base chain',
  'add rule inet other a drop': 'no table other',
  'delete set inet romana s': 's is named in chain forward',
  'flush chain inet romana a\ndelete chain inet romana a': 'a is named in map m',
  'delete chain inet romana a': 'holds rules',
  'delete element inet romana s { 10.0.0.4 }': 'no element 10.0.0.4',
  'add element inet romana s { 10.0.0.3 }': 'already',
  'add element inet romana m { 10.0.0.4 : jump gone }': 'no chain gone',
  'add element inet romana m { 10.0.0.4 }': 'no element of a map',
  'add set inet romana s { type ipv6_addr; }': 'another declaration',
  'add chain inet romana a': 'already',
};

test('FakeNft lists what it was given', () => {
  const nft = new FakeNft();
  nft.run(START);
  const listed = nft.list('romana');
  const again = new FakeNft();
  again.run(listed);
  assert.equal(again.list('romana'), listed);
  assert.deepEqual([...nft.ruleset('romana').chains.keys()].sort(), ['a', 'forward']);
});

for (const [text, reason] of Object.entries(REFUSED)) {
  test(`FakeNft refuses and changes nothing: ${text.replaceAll('\n', '; ')}`, () => {
    const nft = new FakeNft();
    nft.run(START);
    const before = nft.list('romana');
    assert.throws(
      () => nft.run(`add chain inet romana other\n${text}`),
      (error) => error instanceof NftError && error.said.includes(reason),
    );
    assert.equal(nft.list('romana'), before);
  });
}

test('FakeNft has no table to list before one is made', () => {
  assert.throws(() => new FakeNft().list('romana'), NftError);
});
