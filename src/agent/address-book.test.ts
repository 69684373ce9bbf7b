import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Address, parseAddress } from '../addr/address.ts';
import { DEFAULT_PLANS, type Plan, decode, parsePlan } from '../addr/plan.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { unwrap } from '../lib/result.ts';
import { AddressBook, type Place } from './address-book.ts';

const PLACE: Place = { hostId: 1, tenantId: 1, segmentId: 1, pool: false };
const V4 = DEFAULT_PLANS.slice(0, 1);
const address = (text: string): Address => unwrap(parseAddress(text));
const nobody = (): boolean => false;

function many(book: AddressBook, count: number, plans: readonly Plan[] = V4, place = PLACE): Address[] {
  return Array.from({ length: count }, () => unwrap(book.allocate(plans, place, 'u'))).flat();
}

test('AddressBook gives one address of each plan, from endpoint 3 on', () => {
  const book = new AddressBook(new FakeClock(), nobody);
  assert.deepEqual(unwrap(book.allocate(DEFAULT_PLANS, PLACE, 'u')), ['10.1.17.3', 'fd00:10::1:1:1:3']);
  assert.deepEqual(unwrap(book.allocate(DEFAULT_PLANS, PLACE, 'u')), ['10.1.17.4', 'fd00:10::1:1:1:4']);
  const unlabelled = { ...PLACE, segmentId: 0 };
  assert.deepEqual(unwrap(book.allocate(DEFAULT_PLANS, unlabelled, 'u')), ['10.1.16.3', 'fd00:10::1:1:0:3']);
});

test('R28: AddressBook takes the shared pool in a family whose fields are too narrow for an id', () => {
  const book = new AddressBook(new FakeClock(), nobody);
  const wide = { ...PLACE, tenantId: 16 };
  assert.deepEqual(unwrap(book.allocate(DEFAULT_PLANS, wide, 'u')), ['10.1.0.3', 'fd00:10::1:10:1:3']);
  const segment = { ...PLACE, segmentId: 16 };
  assert.deepEqual(unwrap(book.allocate(DEFAULT_PLANS, segment, 'u')), ['10.1.0.4', 'fd00:10::1:1:10:3']);
  const pooled = { ...PLACE, tenantId: 0, segmentId: 0, pool: true };
  assert.deepEqual(unwrap(book.allocate(DEFAULT_PLANS, pooled, 'u')), ['10.1.0.5', 'fd00:10::1:0:0:3']);
});

test('R28: AddressBook takes the shared pool when a segment is full on this host, and says when that is full', () => {
  const book = new AddressBook(new FakeClock(), nobody);
  const given = many(book, 252 + 4_092);
  assert.equal(new Set(given).size, given.length);
  const pooled = given.filter((item) => decode(V4[0] as Plan, item)?.pool === true);
  assert.equal(pooled.length, 4_092);
  const refused = book.allocate(DEFAULT_PLANS, PLACE, 'u');
  const text = 'tenant 1 segment 1 has 252 of 252 in use, the shared pool has 4092 of 4092 in use';
  assert.deepEqual(refused, { ok: false, error: `no IPv4 address is free on this host: ${text}` });
  book.release(given.slice(0, 1));
  assert.deepEqual(unwrap(book.allocate(V4, PLACE, 'u')), given.slice(0, 1));
});

test('R16: AddressBook is full only when neither the shared pool nor any segment has an address left', () => {
  // Two segments of one tenant with 4 addresses each, and 12 in the pool.
  const plan = unwrap(parsePlan('10.0.0.0/25:2,1,1,3'));
  const pooled = { ...PLACE, tenantId: 0, segmentId: 0, pool: true };
  const book = new AddressBook(new FakeClock(), nobody);
  const full = (): boolean => book.full([plan], 1);
  const last = many(book, 4, [plan]).slice(-1);
  assert.ok(!full(), 'one full segment');
  many(book, 11, [plan], pooled);
  assert.ok(!full(), 'one left in the pool');
  many(book, 1, [plan], pooled);
  assert.ok(!full(), 'the other segment has all of its addresses');
  many(book, 4, [plan], { ...PLACE, segmentId: 0 });
  assert.ok(full());
  assert.ok(!book.allocate([plan], PLACE, 'u').ok);
  assert.ok(!book.full([plan], 2));
  const restarted = new AddressBook(new FakeClock(), nobody);
  restarted.reserve(book.taken());
  assert.ok(restarted.full([plan], 1), 'after a restart, when no pod has needed a range yet');
  book.release(last);
  assert.ok(!full());
});

test('R16: AddressBook is full when no segment has an address in every family whose pool is full', () => {
  const pooled = { ...PLACE, tenantId: 0, segmentId: 0, pool: true };
  const four = unwrap(parsePlan('10.0.0.0/25:2,1,1,3'));
  const six = unwrap(parsePlan('fd00:10::/121:2,1,1,3'));
  const book = new AddressBook(new FakeClock(), nobody);
  for (const plan of [four, six]) many(book, 12, [plan], pooled);
  many(book, 4, [four], { ...PLACE, segmentId: 0 });
  assert.ok(!book.full([four, six], 1));
  many(book, 4, [six]);
  assert.ok(book.full([four, six], 1), 'segment 0 has only IPv6 addresses, segment 1 only IPv4 ones');
  const narrow = unwrap(parsePlan('10.0.0.0/26:2,1,1,2'));
  const none = new AddressBook(new FakeClock(), nobody);
  many(none, 4, [narrow], pooled);
  assert.ok(none.full([narrow], 1), 'endpoints too narrow for any pod');
});

test('AddressBook gives back the one family when the other is full', () => {
  const book = new AddressBook(new FakeClock(), nobody);
  const narrow = unwrap(parsePlan('10.0.0.0/8:16,2,3,3'));
  const [, v6] = DEFAULT_PLANS;
  assert.ok(v6 !== undefined);
  while (book.allocate([narrow], PLACE, 'u').ok);
  const before = book.taken();
  assert.ok(!book.allocate([v6, narrow], PLACE, 'u').ok);
  assert.deepEqual(book.taken(), before);
});

test('AddressBook lets released addresses rest while segment or pool have others', async () => {
  const clock = new FakeClock(1_000_000);
  const book = new AddressBook(clock, nobody);
  const given = many(book, 252);
  book.release(given.slice(0, 2));
  assert.deepEqual(many(book, 1), ['10.1.0.3']);
  await clock.advance(180_000);
  assert.deepEqual(many(book, 3), [...given.slice(0, 2), '10.1.0.4']);
});

test('AddressBook keeps what is on file, whether it is told before or after the first pod', () => {
  for (const early of [true, false]) {
    const book = new AddressBook(new FakeClock(), nobody);
    if (!early) many(book, 1, DEFAULT_PLANS, { ...PLACE, segmentId: 2 });
    book.reserve([address('10.1.17.3'), address('fd00:10::1:1:1:3'), address('192.0.2.1')]);
    assert.deepEqual(many(book, 1, DEFAULT_PLANS), ['10.1.17.4', 'fd00:10::1:1:1:4']);
    book.reserve([address('10.1.17.3')]);
    book.release([address('10.1.17.3'), address('10.1.17.3'), address('192.0.2.1'), address('10.9.9.9')]);
    assert.deepEqual(many(book, 1), ['10.1.17.5']);
  }
});

test('AddressBook lets an address rest that was released before its range was needed', () => {
  const book = new AddressBook(new FakeClock(), nobody);
  book.reserve([address('10.1.17.3')]);
  book.release([address('10.1.17.3')]);
  assert.deepEqual(many(book, 1), ['10.1.17.4']);
});

test('R33: AddressBook gives no address that the API shows for another pod of the node', () => {
  const shown = new Map([
    ['10.1.17.3', 'other'],
    ['10.1.17.4', 'mine'],
  ]);
  const book = new AddressBook(new FakeClock(), (item, uid) => (shown.get(item) ?? uid) !== uid);
  assert.deepEqual(unwrap(book.allocate(V4, PLACE, 'mine')), ['10.1.17.4']);
  assert.deepEqual(unwrap(book.allocate(V4, PLACE, 'mine')), ['10.1.17.5']);
  const all = new AddressBook(new FakeClock(), () => true);
  assert.ok(!all.allocate(V4, PLACE, 'mine').ok);
  assert.deepEqual(all.taken(), []);
});

test('AddressBook never gives an address twice, and only those of the host and place, whatever the order', () => {
  const place = fc.record({
    hostId: fc.constant(3),
    tenantId: fc.nat(20),
    segmentId: fc.nat(20),
    pool: fc.boolean(),
  });
  const step = fc.oneof(place, fc.nat(100));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const book = new AddressBook(new FakeClock(), nobody);
      const held: Address[][] = [];
      for (const now of steps) {
        if (typeof now === 'number') {
          const gone = held.splice(now % Math.max(held.length, 1), 1)[0];
          if (gone !== undefined) book.release(gone);
          continue;
        }
        const given = unwrap(book.allocate(DEFAULT_PLANS, now, 'u'));
        for (const [i, item] of given.entries()) {
          const fields = decode(DEFAULT_PLANS[i] as Plan, item);
          assert.equal(fields?.host, 3);
          if (fields.pool !== true) assert.deepEqual([fields.tenant, fields.segment], [now.tenantId, now.segmentId]);
        }
        held.push([...given]);
      }
      assert.deepEqual(new Set(book.taken()), new Set(held.flat()));
      assert.equal(book.taken().length, held.flat().length);
    }),
  );
});
