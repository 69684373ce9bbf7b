import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import { fromBits, parseAddress } from './address.ts';
import { cidrBase, cidrFamily, cidrLength, contains, makeCidr, overlaps, parseCidr } from './cidr.ts';

void test('parseCidr reads both families and keeps the canonical text', () => {
  for (const text of ['0.0.0.0/0', '10.0.0.0/8', '10.1.17.3/32', '::/0', 'fd00:10::/64', '::1/128']) {
    assert.equal(unwrap(parseCidr(text)), text);
  }
  assert.equal(unwrap(parseCidr('FD00:0::/16')), 'fd00::/16');
});

void test('parseCidr says what the range would be when bits are set behind the prefix', () => {
  const result = parseCidr('10.1.0.0/8');
  assert.deepEqual(result, {
    ok: false,
    error: '10.1.0.0/8 has bits set behind its prefix of 8 bits: the range would be 10.0.0.0/8',
  });
});

void test('parseCidr refuses what is no CIDR', () => {
  for (const text of [
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '/8',
    '::/129',
    'x/8',
  ]) {
    const result = parseCidr(text);
    assert.ok(!result.ok, text);
    assert.ok(result.error.includes(JSON.stringify(text)), result.error);
  }
});

void test('makeCidr masks the base and refuses a length the family does not have', () => {
  assert.equal(makeCidr(unwrap(parseAddress('10.1.17.3')), 28), '10.1.17.0/28');
  assert.equal(makeCidr(unwrap(parseAddress('fd00:10::1:1:1:3')), 80), 'fd00:10:0:0:1::/80');
  assert.throws(() => makeCidr(unwrap(parseAddress('10.1.17.3')), 33), RangeError);
});

void test('cidrBase, cidrLength and cidrFamily take a range apart', () => {
  const cidr = unwrap(parseCidr('fd00:10::/64'));
  assert.deepEqual([cidrBase(cidr), cidrLength(cidr), cidrFamily(cidr)], ['fd00:10::', 64, 6]);
});

void test('contains holds for the first and the last address and for none beside, never across families', () => {
  const cidr = unwrap(parseCidr('10.1.0.0/16'));
  const inside = (text: string): boolean => contains(cidr, unwrap(parseAddress(text)));
  assert.deepEqual(['10.1.0.0', '10.1.255.255', '10.0.255.255', '10.2.0.0', '::a01:0'].map(inside), [
    true,
    true,
    false,
    false,
    false,
  ]);
});

void test('overlaps holds exactly when one range contains the base of the other', () => {
  const cidr = fc
    .tuple(fc.bigInt(0n, 2n ** 32n - 1n), fc.integer({ min: 0, max: 32 }))
    .map(([bits, length]) => makeCidr(fromBits(4, bits), length));
  fc.assert(
    fc.property(cidr, cidr, (a, b) => {
      assert.equal(overlaps(a, b), contains(a, cidrBase(b)) || contains(b, cidrBase(a)));
      assert.equal(overlaps(a, b), overlaps(b, a));
      assert.ok(overlaps(a, a));
    }),
  );
  assert.equal(overlaps(unwrap(parseCidr('0.0.0.0/0')), unwrap(parseCidr('::/0'))), false);
});
