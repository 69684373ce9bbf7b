import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, ageOf } from './age.ts';

test('age shows two units while the first is small, then one', () => {
  const [m, h, d] = [60, 3_600, 86_400];
  const cases: [number, string][] = [
    [-5, '<invalid>'],
    [-1, '0s'],
    [0, '0s'],
    [119, '119s'],
    [2 * m, '2m'],
    [2 * m + 5, '2m5s'],
    [10 * m + 5, '10m'],
    [179 * m, '179m'],
    [3 * h, '3h'],
    [7 * h + 30 * m, '7h30m'],
    [47 * h, '47h'],
    [2 * d + 3 * h, '2d3h'],
    [9 * d + 3 * h, '9d'],
    [2 * 365 * d + 4 * d, '2y4d'],
    [9 * 365 * d, '9y'],
  ];
  for (const [seconds, text] of cases) assert.equal(age(seconds * 1_000), text, `${seconds} s`);
});

test('ageOf tells a missing time from one that is none', () => {
  assert.equal(ageOf('1970-01-01T00:00:10Z', 15_000), '5s');
  assert.equal(ageOf('', 0), '<unknown>');
  assert.equal(ageOf(undefined, 0), '<unknown>');
  assert.equal(ageOf('yesterday', 0), '<invalid>');
});
