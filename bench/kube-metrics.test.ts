import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Calls, meanMs, parseMetrics } from './kube-metrics.ts';

void test('parseMetrics reads names, labels and values, and leaves comments out', () => {
  const text = '# HELP a b\na_total{x="1",y="p q"} 2.5\nb 1e+03\n\nc{} NaN\n';
  assert.deepEqual(parseMetrics(text), [
    { name: 'a_total', labels: { x: '1', y: 'p q' }, value: 2.5 },
    { name: 'b', labels: {}, value: 1000 },
    { name: 'c', labels: {}, value: Number.NaN },
  ]);
});

function calls(count: number, seconds: number): Calls {
  return { add: { count, seconds }, del: { count: 0, seconds: 0 } };
}

void test('meanMs is of the calls in between, on all nodes', () => {
  assert.equal(meanMs([calls(1, 10), calls(0, 0)], [calls(3, 10.25), calls(2, 0.25)], 'add'), 125);
});
