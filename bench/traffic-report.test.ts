import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Measure } from './traffic-race.ts';
import { trafficRows, trafficTable } from './traffic-report.ts';

void test('trafficRows compares with the peer round by round, and judges ours alone', () => {
  const results = new Map([
    ['bare', bulk(2e9, 4e9)],
    ['peer', bulk(1e9, 4e9)],
    ['0 policies', bulk(1e9, 3.9e9)],
    ['100 policies', bulk(0.5e9, 2e9)],
  ]);
  const rows = trafficRows(results);
  assert.deepEqual(
    rows.map(({ variant, byPeer, met }) => [variant, byPeer.median, met]),
    [
      ['bare', 1.5, undefined],
      ['peer', 1, undefined],
      ['0 policies', 0.9875, true],
      ['100 policies', 0.5, false],
    ],
  );
  assert.match(trafficTable(rows), /100 policies +4.00 10.0 16.0 +0.500 0.500 0.500 +at least 0.97: not met/);
});

function bulk(...values: number[]): Map<Measure, number[]> {
  return new Map([['one host, bulk', values]]);
}
