import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CheckReport, type CheckRow, formatReport, hintsOf } from './report.ts';

function row(more: Partial<CheckRow>): CheckRow {
  const base = {
    from: 'pod on a',
    to: 'pod on b',
    family: 4,
    expected: 'answered',
    happened: 'answered',
    ms: 3,
  } as const;
  return { ...base, verdict: 'ok', ...more };
}

const BAD = { verdict: 'NOT AS EXPECTED', happened: 'a time-out' } as const;

function report(rows: readonly CheckRow[], total = 2): CheckReport {
  const good = rows.every(({ verdict }) => verdict !== 'NOT AS EXPECTED');
  return { good, nodes: { checked: ['a', 'b'], total }, rows, hints: hintsOf(rows) };
}

test('formatReport is a table with the sum below it', () => {
  const rows = [row({}), row({ to: 'outside', family: null, ms: null, verdict: 'not tried', happened: 'why' })];
  assert.equal(
    formatReport(report(rows, 3), 'table'),
    `FROM       TO         FAMILY   EXPECTED   HAPPENED         TIME
pod on a   pod on b   IPv4     answered   answered         3 ms   ok
pod on a   outside    -        -          not tried: why   -

All 1 were as expected (on 2 of 3 nodes).
`,
  );
});

test('formatReport says how many were not as expected, and what to look at', () => {
  const text = formatReport(report([row({}), row(BAD)]), 'table');
  assert.match(text, /a time-out +3 ms +NOT AS EXPECTED\n\n1 of 2 were NOT as expected\.\nAcross nodes: .*\n$/);
});

test('formatReport as JSON is the report', () => {
  const one = report([row({})]);
  assert.deepEqual(JSON.parse(formatReport(one, 'json')), one);
});

for (const [what, more, hint] of [
  ['a pod that does not run', { to: '-', expected: 'runs' }, /^A node or a pod is not up/],
  ['large packets', { happened: "a connection over which 64 KiB don't pass (MTU?)" }, /MTU of the nodes/],
  ['translated addresses', { happened: 'answered, seen as 192.0.2.1 instead of 10.1.17.3' }, /masquerading/],
  ['a denied way', { expected: 'dropped', happened: 'answered' }, /^A policy is not enforced/],
  ['a Service', { to: "the API server's ClusterIP, 10.96.0.1:443" }, /detectLocalMode/],
  ['DNS', { to: "kubernetes.default by the cluster's DNS" }, /k8s-app=kube-dns/],
  ['outside', { to: 'outside, 192.0.2.1:80' }, /masquerade/],
  ['a node', { to: 'node b' }, /firewall/],
  ['two nodes', {}, /^Across nodes/],
  ['one node', { to: 'another pod on a' }, /^On one node/],
] as const) {
  test(`hintsOf says once what to look at for ${what}`, () => {
    const hints = hintsOf([row({ ...BAD, ...more }), row({ ...BAD, ...more, family: 6 }), row({})]);
    assert.equal(hints.length, 1);
    assert.match(hints[0] ?? '', hint);
  });
}
