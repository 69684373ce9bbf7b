import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Address } from '../addr/address.ts';
import { type CompiledPeers, type FamilyPeers, mergeWatches, sameButAddresses } from './peers.ts';

test('mergeWatches leaves out what another watch shows', () => {
  assert.deepEqual(
    mergeWatches(
      [
        { namespace: 'a', selector: 'app=web' },
        { namespace: 'b', selector: 'app=web' },
        { namespace: 'b', selector: 'app=db' },
        { namespace: 'b', selector: '' },
        { namespace: '', selector: 'app=web' },
        { namespace: 'c', selector: 'app=db' },
        { namespace: 'c', selector: 'app=db' },
      ],
      9,
    ),
    [
      { namespace: '', selector: 'app=web' },
      { namespace: 'b', selector: '' },
      { namespace: 'c', selector: 'app=db' },
    ],
  );
});

test('mergeWatches makes one watch on all pods of more than the limit', () => {
  const all = [{ namespace: '', selector: '' }];
  const three = ['a', 'b', 'c'].map((namespace) => ({ namespace, selector: 'x=y' }));
  assert.equal(mergeWatches(three, 3).length, 3);
  assert.deepEqual(mergeWatches(three, 2), all);
  assert.deepEqual(mergeWatches([...three, ...all], 9), all);
});

function peers(more: Partial<CompiledPeers> = {}, four: Partial<FamilyPeers> = {}): CompiledPeers {
  return {
    byFamily: new Map([[4, { tenants: [], segments: [], exact: [], ...four }]]),
    shared: 'a/{app in (web)}',
    watches: [{ namespace: 'a', selector: 'app=web' }],
    ...more,
  };
}

test('sameButAddresses minds all that a rule says of peers', () => {
  const [one, two] = ['10.1.16.0', '10.1.32.0'] as readonly string[] as readonly [Address, Address];
  assert.ok(sameButAddresses(peers(), peers({}, { exact: [one, two] })));
  for (const other of [
    peers({}, { tenants: [one] }),
    peers({}, { segments: [one] }),
    peers({ shared: 'b/{app in (web)}' }),
    peers({ watches: [] }),
    peers({ byFamily: new Map() }),
  ]) {
    assert.ok(!sameButAddresses(peers(), other) && !sameButAddresses(other, peers()));
  }
  // Without a set of their own they stand in the rules' own sets.
  assert.ok(!sameButAddresses(peers({ shared: undefined }), peers({ shared: undefined }, { exact: [one] })));
});
