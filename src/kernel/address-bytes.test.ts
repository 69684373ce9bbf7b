import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fromBits, toBits } from '../addr/address.ts';
import { makeCidr } from '../addr/cidr.ts';
import { addressOf, addressToBytes, cidrToBytes } from './address-bytes.ts';

// Hextets that are often zero, for the sake of `::`.
const ipv6Bits = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((hextets) => BigInt(`0x${hextets.map((hextet) => hextet.toString(16).padStart(4, '0')).join('')}`));

const addresses = fc.oneof(
  fc.bigInt({ min: 0n, max: 0xffff_ffffn }).map((bits) => fromBits(4, bits)),
  ipv6Bits.filter((bits) => bits >> 32n !== 0xffffn).map((bits) => fromBits(6, bits)),
);

test('addressOf gives back the canonical text that addressToBytes took', () => {
  fc.assert(
    fc.property(addresses, (address) => {
      const bytes = addressToBytes(address);
      assert.equal(BigInt(`0x${bytes.toString('hex')}`), toBits(address));
      assert.equal(addressOf(bytes), address);
    }),
  );
});

test('cidrToBytes gives the base and the length', () => {
  const { bytes, length } = cidrToBytes(makeCidr(fromBits(4, 0x0a011103n), 16));
  assert.deepEqual([[...bytes], length], [[10, 1, 0, 0], 16]);
});
