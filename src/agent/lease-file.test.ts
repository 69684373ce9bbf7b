import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseAddress } from '../addr/address.ts';
import { unwrap } from '../lib/result.ts';
import type { Lease } from '../plan/snapshot.ts';
import { type LeaseState, addressesIn, leaseFileText, parseLeaseFile } from './lease-file.ts';

const LEASE: Lease = {
  uid: 'u-1',
  containerId: 'c0ffee',
  ifname: 'eth0',
  hostInterface: 'roma0123456789a',
  namespace: 'tenant-a',
  pod: 'web-0',
  segment: 'frontend',
  addresses: ['10.1.17.3', 'fd00:10::1:1:1:3'].map((text) => unwrap(parseAddress(text))),
  hostMac: '02:00:00:00:00:01',
  podMac: '02:00:00:00:00:02',
};

test('parseLeaseFile reads what leaseFileText wrote, whatever the lease', () => {
  const lease = fc.record({
    uid: fc.string(),
    namespace: fc.string(),
    pod: fc.string(),
    containerId: fc.string(),
    segment: fc.option(fc.string()),
  });
  const origin = fc.record(
    { network: fc.string(), netns: fc.string(), netnsId: fc.string(), since: fc.nat() },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(
      lease,
      fc.option(origin),
      fc.constantFrom<LeaseState>('adding', 'active', 'leaving'),
      (parts, origin, state) => {
        const whole = { ...LEASE, ...parts, ...(origin === null ? {} : { origin }) };
        assert.deepEqual(parseLeaseFile(leaseFileText(whole, state)), { ok: true, value: { lease: whole, state } });
      },
    ),
  );
});

const written = (change: object): string =>
  JSON.stringify({ version: 1, state: 'active', lease: { ...LEASE, ...change } });

for (const [name, text, reason] of [
  ['nothing', '', /JSON/],
  ['a file that was cut', leaseFileText(LEASE, 'active').slice(0, 200), /JSON/],
  ['a list', '[]', /no JSON object/],
  ['a later version', leaseFileText(LEASE, 'active').replace('"version":1', '"version":2'), /version/],
  ['a state nobody knows', leaseFileText(LEASE, 'active').replace('"active"', '"paused"'), /state/],
  ['no lease', '{"version":1,"state":"active"}', /lease is no object/],
  ['a lease without uid', written({ uid: undefined }), /lease\.uid/],
  ['a segment that is a number', written({ segment: 5 }), /lease\.segment/],
  ['an interface that is none of ours', written({ hostInterface: 'eth0' }), /lease\.hostInterface/],
  ['an origin without time', written({ origin: { network: 'n', netns: '/n', netnsId: '4:5' } }), /lease\.origin/],
  ['addresses that are none', written({ addresses: ['10.1.17.300'] }), /lease\.addresses/],
  ['no addresses', written({ addresses: [] }), /lease\.addresses/],
] as const) {
  test(`parseLeaseFile refuses ${name}`, () => {
    const found = parseLeaseFile(text);
    assert.ok(!found.ok);
    assert.match(found.error, reason);
  });
}

test('parseLeaseFile and addressesIn never throw', () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ version: fc.constant(1), lease: fc.jsonValue() }).map((j) => JSON.stringify(j)),
  );
  fc.assert(
    fc.property(text, (some) => {
      parseLeaseFile(some);
      addressesIn(some);
    }),
  );
});

test('addressesIn finds the addresses of a file that was cut behind them', () => {
  const text = leaseFileText(LEASE, 'active');
  assert.deepEqual(addressesIn(text.slice(0, text.indexOf('hostMac'))), LEASE.addresses);
  assert.deepEqual(addressesIn('{"a":"10.1.1","b":"::","c":"dead","d":"10.1.17.3","e":"10.1.17.3"}'), [
    '::',
    '10.1.17.3',
  ]);
});
