import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseGoTestOutput } from './go-test-output.ts';

const OUTPUT = `=== RUN   TestAll
    all.go:1: sets up
=== RUN   TestAll/First
=== RUN   TestAll/First/allows
    first.go:10: tried
=== RUN   TestAll/First/denies
    first.go:20: tried again
    first.go:21: it passed
=== RUN   TestAll/Second
    second.go:1: no such feature
=== NAME  TestAll
    all.go:2: cleans up
--- FAIL: TestAll (3.00s)
    --- FAIL: TestAll/First (2.00s)
        --- PASS: TestAll/First/allows (0.50s)
        --- FAIL: TestAll/First/denies (1.50s)
    --- SKIP: TestAll/Second (0.00s)
=== RUN   TestSetUp
=== RUN   TestSetUp/Inner
=== NAME  TestSetUp
    setup.go:3: not cleaned up
--- FAIL: TestSetUp (1.00s)
    --- PASS: TestSetUp/Inner (0.10s)
FAIL
`;

void test('parseGoTestOutput gives the innermost tests, and those around them that failed by themselves', () => {
  const specs = parseGoTestOutput(OUTPUT);
  assert.deepEqual(
    specs.map(({ name, state, seconds, reason }) => [name, state, seconds, reason]),
    [
      ['TestAll/First/allows', 'passed', 0.5, ''],
      ['TestAll/First/denies', 'failed', 1.5, 'first.go:21: it passed'],
      ['TestAll/Second', 'skipped', 0, 'second.go:1: no such feature'],
      ['TestSetUp', 'failed', 1, 'setup.go:3: not cleaned up'],
      ['TestSetUp/Inner', 'passed', 0.1, ''],
    ],
  );
  assert.equal(specs[1]?.said, '    first.go:20: tried again\n    first.go:21: it passed');
});
