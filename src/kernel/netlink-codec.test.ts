import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BodyWriter,
  frame,
  messagesIn,
  readAttributes,
  readError,
  readNested,
  readText,
  readU32,
} from './netlink-codec.ts';

const request = (size: number) => ({ type: 24, flags: 0x400, body: Buffer.alloc(size, size), what: '' });

test('BodyWriter writes attributes padded and nested, which readAttributes reads', () => {
  const body = new BodyWriter().u8(10).u8(0).u16(0x1234);
  body.attributeText(3, 'eth0').attributeU8(7, 9);
  body.nested(18, () => body.attributeU32(1, 0xdeadbeef).attribute(2, Buffer.alloc(300, 1)));
  const bytes = body.finish();
  const attributes = readAttributes(bytes, 4, bytes.length);
  assert.equal(bytes.length % 4, 0);
  assert.equal(readText(attributes.get(3)), 'eth0');
  assert.deepEqual(attributes.get(7), Buffer.from([9]));
  const nested = readNested(attributes.get(18));
  assert.equal(readU32(nested.get(1)), 0xdeadbeef);
  assert.equal(nested.get(2)?.length, 300);
  assert.equal(readU32(attributes.get(99)), undefined);
});

test('frame and messagesIn are each other’s inverse for several messages in a row', () => {
  const bytes = Buffer.concat([frame(request(5), 1, 0), frame(request(8), 2, 4)]);
  const seen = [...messagesIn(bytes, bytes.length)].map(({ type, flags, sequence, start, end }) => [
    type,
    flags,
    sequence,
    bytes.subarray(start, end).toString('hex'),
  ]);
  assert.deepEqual(seen, [
    [24, 0x401, 1, '0505050505'],
    [24, 0x405, 2, '0808080808080808'],
  ]);
});

test('messagesIn refuses a length that does not fit', () => {
  const bytes = frame({ type: 1, flags: 0, body: Buffer.alloc(4), what: '' }, 1, 0);
  assert.throws(() => [...messagesIn(bytes, bytes.length - 1)], /does not fit/);
});

test('readError finds the kernel’s words behind a request that was cut short or echoed', () => {
  const words = new BodyWriter().attributeText(1, 'Device not found').finish();
  for (const [flags, echoed] of [
    [0x300, 0],
    [0x200, 12],
  ] as const) {
    const start = Buffer.alloc(4 + 16 + echoed);
    start.writeInt32LE(-19, 0);
    start.writeUInt32LE(16 + echoed, 4);
    const bytes = frame({ type: 2, flags, body: Buffer.concat([start, words]), what: '' }, 1, 0);
    const [message] = messagesIn(bytes, bytes.length);
    assert.ok(message !== undefined);
    assert.deepEqual(readError(message), { errno: 19, said: 'Device not found' });
  }
});
