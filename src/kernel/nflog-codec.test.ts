import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BodyWriter } from './netlink-codec.ts';
import { bindRequest, decodeLogged } from './nflog-codec.ts';

const PACKET = 0x400;
/** UDP from 10.1.17.3 to 10.1.18.3, from port 4242 to 53. */
const PAYLOAD = Buffer.from('4500001d00000000401100000a0111030a011203109200350009000041', 'hex');

function view(type: number, body: Buffer) {
  return { type, flags: 0, sequence: 0, port: 0, buffer: body, start: 0, end: body.length };
}

function bodyOf(attributes: readonly (readonly [number, Uint8Array])[]): Buffer {
  const body = new BodyWriter().u8(2).u8(0).u16(0);
  for (const [type, value] of attributes) body.attribute(type, value);
  return body.finish();
}

test('decodeLogged reads prefix, packet and number', () => {
  const body = bodyOf([
    [1, Uint8Array.of(8, 0, 2, 0)],
    [10, Buffer.from('romana ingress\0')],
    [9, PAYLOAD],
    [12, Uint8Array.of(0, 0, 1, 2)],
  ]);
  assert.deepEqual(decodeLogged(view(PACKET, body)), {
    packet: {
      prefix: 'romana ingress',
      src: '10.1.17.3',
      dst: '10.1.18.3',
      protocol: 17,
      ports: { src: 4242, dst: 53 },
    },
    sequence: 258,
  });
  assert.deepEqual(decodeLogged(view(PACKET + 1, body)), { packet: undefined, sequence: undefined });
});

test('decodeLogged takes whatever it is given', () => {
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 128 }),
    fc.nat(PAYLOAD.length).map((n) => PAYLOAD.subarray(0, n)),
  );
  const attributes = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), value), { maxLength: 8 });
  fc.assert(
    fc.property(attributes, fc.nat(200), (list, cut) => {
      const body = bodyOf(list);
      const { packet } = decodeLogged(view(PACKET, body.subarray(0, Math.max(4, body.length - cut))));
      assert.ok(packet === undefined || packet.src.length > 0);
    }),
    { numRuns: 1_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 256 }), (bytes) => {
      decodeLogged(view(PACKET, Buffer.from(bytes)));
    }),
  );
});

test('bindRequest names the group in network order', () => {
  const { body, what } = bindRequest(9671);
  assert.deepEqual([...body.subarray(0, 4)], [0, 0, 0x25, 0xc7]);
  assert.equal(what, 'listen to NFLOG group 9671');
});
