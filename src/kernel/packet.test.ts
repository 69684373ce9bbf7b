import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fromBits } from '../addr/address.ts';
import { addressToBytes } from './address-bytes.ts';
import { readPacket } from './packet.ts';

const port = fc.integer({ min: 0, max: 0xffff });
const address4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((bits) => fromBits(4, bits));
const address6 = fc.bigInt({ min: 2n ** 120n, max: 2n ** 128n - 1n }).map((bits) => fromBits(6, bits));
const withPorts = fc.constantFrom(6, 17, 33, 132, 136);

function ports(src: number, dst: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(src, 0);
  bytes.writeUInt16BE(dst, 2);
  return bytes;
}

/** A header of IPv4 with `options` words of options. */
function ipv4(protocol: number, src: Buffer, dst: Buffer, options = 0, fragment = 0): Buffer {
  const header = Buffer.alloc(20 + options * 4);
  header[0] = 0x40 | (5 + options);
  header.writeUInt16BE(fragment, 6);
  header[9] = protocol;
  src.copy(header, 12);
  dst.copy(header, 16);
  return header;
}

function ipv6(next: number, src: Buffer, dst: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header[6] = next;
  src.copy(header, 8);
  dst.copy(header, 24);
  return header;
}

/** An extension header of IPv6: its kind, and how much it is longer than 8 bytes, in its own unit. */
const extensions = fc.array(
  fc.record({ kind: fc.constantFrom(0, 43, 60, 51, 44), more: fc.integer({ min: 0, max: 4 }) }),
  { maxLength: 5 },
);

function extensionBytes(kind: number, more: number, next: number): Buffer {
  const bytes = Buffer.alloc(kind === 44 ? 8 : kind === 51 ? (more + 2) * 4 : (more + 1) * 8);
  bytes[0] = next;
  // A fragment's second byte is reserved, and need not be zero.
  bytes[1] = more;
  return bytes;
}

test('readPacket finds the ends, the protocol and the ports behind the options of IPv4', () => {
  fc.assert(
    fc.property(withPorts, address4, address4, fc.nat(10), port, port, (protocol, src, dst, options, from, to) => {
      const header = ipv4(protocol, addressToBytes(src), addressToBytes(dst), options);
      const expected = { src, dst, protocol, ports: { src: from, dst: to } };
      assert.deepEqual(readPacket(Buffer.concat([header, ports(from, to)])), expected);
    }),
  );
});

test('readPacket finds the ends, the protocol and the ports behind extension headers of IPv6', () => {
  fc.assert(
    fc.property(withPorts, address6, address6, extensions, port, port, (protocol, src, dst, list, from, to) => {
      const parts = list.map(({ kind, more }, n) => extensionBytes(kind, more, list[n + 1]?.kind ?? protocol));
      const header = ipv6(list[0]?.kind ?? protocol, addressToBytes(src), addressToBytes(dst));
      const whole = Buffer.concat([header, ...parts, ports(from, to)]);
      assert.deepEqual(readPacket(whole), { src, dst, protocol, ports: { src: from, dst: to } });
      // Less of it says less, and nothing wrong.
      for (let length = 0; length < whole.length; length += 1) {
        const read = readPacket(whole.subarray(0, length));
        assert.equal(read === undefined, length < 40);
        assert.equal(read?.ports, undefined);
        assert.ok(read?.protocol === undefined || read.protocol === protocol);
      }
    }),
  );
});

test('readPacket sees no ports in later fragments, nor where the protocol has none', () => {
  const [src, dst] = [Buffer.from([10, 1, 17, 3]), Buffer.from([10, 1, 18, 3])];
  const data = ports(1, 2);
  assert.equal(readPacket(Buffer.concat([ipv4(17, src, dst, 0, 3), data]))?.ports, undefined);
  assert.deepEqual(readPacket(Buffer.concat([ipv4(17, src, dst, 0, 0x2000), data]))?.ports, { src: 1, dst: 2 });
  assert.equal(readPacket(Buffer.concat([ipv4(1, src, dst), data]))?.ports, undefined);
  const fragment = extensionBytes(44, 0, 17);
  fragment.writeUInt16BE(8, 2);
  const six = ipv6(44, Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  const later = readPacket(Buffer.concat([six, fragment, data]));
  assert.deepEqual([later?.protocol, later?.ports], [17, undefined]);
});

test('readPacket comes to an end with whatever a pod sends', () => {
  const hostile = fc
    .uint8Array({ minLength: 0, maxLength: 128 })
    .chain((bytes) => fc.constantFrom(0x40, 0x45, 0x4f, 0x60, 0xff).map((first) => Buffer.from([first, ...bytes])));
  fc.assert(
    fc.property(hostile, (bytes) => {
      const read = readPacket(bytes);
      if (bytes.length < 20) assert.equal(read, undefined);
      assert.ok(read?.ports === undefined || withPortsKnown.has(read.protocol ?? -1));
    }),
    { numRuns: 2_000 },
  );
});

const withPortsKnown = new Set([6, 17, 33, 132, 136]);
