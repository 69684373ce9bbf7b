import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import { compareAddresses, familyOf, fromBits, parseAddress, toBits } from './address.ts';

const canonical: readonly [text: string, address: string][] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.1.17.3', '10.1.17.3'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['FD00:10:0:0:1:1:1:3', 'fd00:10::1:1:1:3'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // RFC 5952 4.2.3: the first of equal runs
  ['2001:db8::0001', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // RFC 5952 4.2.2: one group is not compressed
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
];

void test('parseAddress gives the canonical text of an address', () => {
  for (const [text, address] of canonical) assert.equal(unwrap(parseAddress(text)), address, text);
});

void test('parseAddress refuses what is no address, or a second name of one', () => {
  const bad = ['', '1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '1.2.3.4 ', '0x1.2.3.4', '1.2.3.-4', 'a.b.c.d'];
  const bad6 = [':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', 'fe80::1%eth0'];
  const odd6 = ['12345::', 'g::', ':1:2:3:4:5:6:7', '1:2:3:4:5:6:7:', '1.2.3.4::', '::1.2.3', '::ffff:1.2.3.4'];
  for (const text of [...bad, ...bad6, ...odd6]) assert.equal(parseAddress(text).ok, false, text);
});

void test('parseAddress names the plain form when it refuses an IPv4-mapped address', () => {
  const result = parseAddress('::ffff:a00:1');
  assert.ok(!result.ok);
  assert.match(result.error, /write it as 10\.0\.0\.1/);
});

void test('fromBits and toBits undo each other, and the text reads back as itself', () => {
  const sparse = fc.array(fc.oneof(fc.constant(0n), fc.bigInt(0n, 0xffffn)), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(sparse, (hextets) => {
      const bits = hextets.reduce((sum, hextet) => (sum << 16n) | hextet, 0n);
      fc.pre(bits >> 32n !== 0xffffn);
      const address = fromBits(6, bits);
      assert.equal(toBits(address), bits);
      assert.equal(unwrap(parseAddress(address)), address);
      assert.ok(isIPv6(address));
      // WHATWG URL serializes IPv6 hosts by RFC 5952 too: an implementation that is not ours.
      assert.equal(new URL(`http://[${address}]/`).hostname, `[${address}]`);
    }),
  );
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 32n - 1n), (bits) => {
      const address = fromBits(4, bits);
      assert.equal(familyOf(address), 4);
      assert.equal(toBits(unwrap(parseAddress(address))), bits);
    }),
  );
});

void test('fromBits throws when the family has no such number', () => {
  assert.throws(() => fromBits(4, 2n ** 32n), RangeError);
  assert.throws(() => fromBits(6, -1n), RangeError);
});

void test('compareAddresses orders by family, then by number', () => {
  const texts = ['fd00::2', '10.0.0.10', 'fd00::1', '10.0.0.9'];
  const sorted = texts.map((text) => unwrap(parseAddress(text))).sort(compareAddresses);
  assert.deepEqual(sorted, ['10.0.0.9', '10.0.0.10', 'fd00::1', 'fd00::2']);
});
