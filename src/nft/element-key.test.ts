import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { fromBits } from '../addr/address.ts';
import { encodeKey } from './element-key.ts';

const hex = (type: string, text: string): string | undefined => {
  const bytes = encodeKey(type, text);
  return bytes === undefined ? undefined : Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
};

const KEYS: readonly (readonly [type: string, text: string, bytes: string])[] = [
  ['ipv4_addr', '10.1.17.3', '0a011103'],
  ['ipv6_addr', 'fd00:10::1:0:0:3', 'fd000010000000000001000000000003'],
  // A key that is no concatenation is not filled up.
  ['inet_proto', 'tcp', '06'],
  ['inet_service', '8080', '1f90'],
  ['ifname', '"roma0"', '726f6d61300000000000000000000000'],
  ['ifname . ipv4_addr', '"roma0123456789a" . 10.1.17.3', '726f6d613031323334353637383961000a011103'],
  ['inet_proto . inet_service', 'udp . 53', '1100000000350000'],
  ['ipv4_addr . inet_proto . inet_service', '10.1.17.3 . sctp . 65535', '0a01110384000000ffff0000'],
  ['ipv6_addr . inet_proto . inet_service', ':: . tcp . 0', `${'00'.repeat(16)}0600000000000000`],
];

for (const [type, text, bytes] of KEYS) {
  test(`encodeKey gives the bytes of ${text} as ${type}`, () => assert.equal(hex(type, text), bytes));
}

const NOT_ENCODED: readonly (readonly [type: string, text: string])[] = [
  ['ipv4_addr', '10.1.0.0/16'],
  ['ipv4_addr', '10.1.17.3-10.1.17.9'],
  ['ipv4_addr', '10.1.17.03'],
  ['ipv4_addr', 'fd00::1'],
  ['ipv6_addr', '10.1.17.3'],
  ['ipv4_addr', '*'],
  ['ifname', '"roma*"'],
  ['ifname', 'roma0'],
  ['ifname', '"sixteen-letters-"'],
  ['inet_proto', 'gre'],
  ['inet_service', '80-90'],
  ['inet_service', 'http'],
  ['inet_service', '65536'],
  ['inet_service', '080'],
  ['ifname . ipv4_addr', '"roma0"'],
  ['ipv4_addr', '10.1.17.3 . tcp'],
  ['mark', '0x00000001'],
  ['ipv4_addr : verdict', '10.1.17.3'],
];

for (const [type, text] of NOT_ENCODED) {
  test(`encodeKey leaves ${text} as ${type} to libnftables`, () => assert.equal(encodeKey(type, text), undefined));
}

test('encodeKey puts every field of a concatenation at a register of its own', () => {
  const field = fc.oneof(
    fc.bigInt(0n, (1n << 32n) - 1n).map((bits) => ['ipv4_addr', fromBits(4, bits)] as const),
    fc.bigInt(0n, (1n << 128n) - 1n).map((bits) => ['ipv6_addr', fromBits(6, bits)] as const),
    fc.constantFrom('tcp', 'udp', 'sctp').map((name) => ['inet_proto', name] as const),
    fc.nat({ max: 0xffff }).map((port) => ['inet_service', String(port)] as const),
    fc.stringMatching(/^[A-Za-z0-9._-]{1,15}$/).map((name) => ['ifname', `"${name}"`] as const),
  );
  fc.assert(
    fc.property(fc.array(field, { minLength: 2, maxLength: 4 }), (fields) => {
      const joined = (index: 0 | 1): string => fields.map((one) => one[index]).join(' . ');
      const alone = fields.map(([type, text]) => hex(type, text) ?? assert.fail(text));
      const padded = alone.map((bytes) => bytes.padEnd(Math.ceil(bytes.length / 8) * 8, '0'));
      assert.equal(hex(joined(0), joined(1)), padded.join(''));
    }),
  );
});
