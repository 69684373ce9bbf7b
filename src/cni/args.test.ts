import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseCniArgs } from './args.ts';

for (const [text, expected] of [
  ['', []],
  ['A=1', [['A', '1']]],
  [
    'A=1;B=2;',
    [
      ['A', '1'],
      ['B', '2'],
    ],
  ],
  ['A=1;A=2', [['A', '2']]],
  ['A=', [['A', '']]],
  ['A=x=y', [['A', 'x=y']]],
] as const) {
  test(`parseCniArgs reads ${JSON.stringify(text)}`, () => {
    const found = parseCniArgs(text);
    assert.ok(found.ok);
    assert.deepEqual([...found.value], expected);
  });
}

for (const text of ['A', '=1', 'A=1;B', ';=']) {
  test(`parseCniArgs refuses ${JSON.stringify(text)}`, () => assert.ok(!parseCniArgs(text).ok));
}

test('parseCniArgs never throws and loses no pair', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseCniArgs(text)));
  const key = fc.stringMatching(/^[A-Z_]{1,8}$/);
  const pairs = fc.dictionary(key, fc.stringMatching(/^[^;\n]{0,8}$/));
  fc.assert(
    fc.property(pairs, (wanted) => {
      const found = parseCniArgs(
        Object.entries(wanted)
          .map(([k, v]) => `${k}=${v}`)
          .join(';'),
      );
      assert.deepEqual(found.ok && new Map(found.value), new Map(Object.entries(wanted)));
    }),
  );
});
