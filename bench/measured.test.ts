import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measuredRows, measuredTable } from './measured.ts';

void test('measuredRows judges the median by what it may be at most and must be at least', () => {
  const rows = measuredRows([
    { what: 'a', unit: 's', values: [1, 2, 9], atMost: 2 },
    { what: 'b', unit: '', values: [0.9], atLeast: 0.97 },
    { what: 'c', unit: 'MiB', values: [5] },
  ]);
  assert.deepEqual(
    rows.map(({ met }) => met),
    [true, false, undefined],
  );
  const [head = '', ...lines] = measuredTable(rows).split('\n');
  assert.match(head, /min median max +goal$/);
  assert.match(lines[0] ?? '', /^a \(s\) +1.00 2.00 9.00 +at most 2: met$/);
  assert.match(lines[1] ?? '', /^b +0.900 0.900 0.900 +at least 0.97: not met$/);
  assert.match(lines[2] ?? '', /^c \(MiB\) +5.00 5.00 5.00$/);
});
