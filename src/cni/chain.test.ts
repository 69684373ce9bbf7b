import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import { commonVersion, lostBelow, parseChain } from './chain.ts';

test('parseChain puts ours first, unless the list says where it comes', () => {
  const tuning = { type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } };
  assert.deepEqual(unwrap(parseChain(JSON.stringify([tuning]))), [{ type: 'romana' }, tuning]);
  assert.deepEqual(unwrap(parseChain('[]')), [{ type: 'romana' }]);
  const between = [{ type: 'loopback' }, { type: 'romana' }, tuning];
  assert.deepEqual(unwrap(parseChain(JSON.stringify(between))), between);
});

for (const [text, why] of [
  ['{', /no JSON/],
  ['{}', /must be a JSON list/],
  ['[5]', /plugin 1 has no usable type/],
  ['[{"type":"a"},{"type":"../b"}]', /plugin 2 has no usable type/],
  ['[{"type":"romana"},{"type":"romana"}]', /romana 2 times/],
] as const) {
  test(`parseChain refuses ${text}`, () => {
    const parsed = parseChain(text);
    assert.ok(!parsed.ok);
    assert.match(parsed.error, why);
  });
}

test('parseChain never throws, and has ours once in what it takes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const parsed = parseChain(text);
      if (parsed.ok) assert.equal(parsed.value.filter(({ type }) => type === 'romana').length, 1);
    }),
  );
});

test('commonVersion is the newest that everybody speaks', () => {
  const old = ['0.1.0', '0.4.0', '1.0.0'];
  assert.equal(commonVersion([]), '1.1.0');
  assert.equal(commonVersion([['1.1.0', '0.4.0', '9.9.9'], old]), '0.4.0');
  assert.equal(commonVersion([old]), '1.0.0');
  assert.equal(commonVersion([old, ['1.1.0']]), undefined);
  assert.equal(commonVersion([[]]), undefined);
});

test('lostBelow says what runtimes do not ask for in old versions', () => {
  assert.deepEqual(lostBelow('1.1.0'), []);
  assert.deepEqual(
    lostBelow('1.0.0').map((text) => text.split(':')[0]),
    ['STATUS', 'GC'],
  );
  assert.deepEqual(
    lostBelow('0.3.1').map((text) => text.split(':')[0]),
    ['STATUS', 'GC', 'CHECK'],
  );
});
