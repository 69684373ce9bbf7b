import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mergeWatches } from './peers.ts';

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
