import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, ratios, spread, table } from './statistics.ts';

test('median is the middle, or the mean of the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), /no median/);
});

test('spread says min, median and max; ratios go round by round', () => {
  assert.deepEqual(spread([2, 9, 4]), { min: 2, median: 4, max: 9 });
  assert.deepEqual(ratios([1, 2, 6], [2, 2, 2]), [0.5, 1, 3]);
  assert.throws(() => ratios([1], [1, 2]), /as many rounds/);
});

test('table puts cells into columns', () => {
  assert.equal(
    table([
      ['a', '1'],
      ['long', '200'],
    ]),
    'a       1\nlong  200',
  );
});
