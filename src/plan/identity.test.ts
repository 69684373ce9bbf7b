import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Address } from '../addr/address.ts';
import type { Party } from '../policy/party.ts';
import { identityIndex, partyOf } from './identity.ts';
import { snapshotOf } from './snapshot-fixture.ts';
import type { Fixture } from './snapshot-fixture.ts';

const FIXTURE: Fixture = {
  pods: [
    { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend', app: 'db' }, host: 1, endpoint: 3 },
    {
      namespace: 'tenant-a',
      name: 'done',
      labels: { segment: 'backend' },
      host: 1,
      endpoint: 4,
      more: { phase: 'Failed' },
    },
  ],
  watched: [{ namespace: 'tenant-a', name: 'web', labels: { app: 'web' }, leased: 'frontend', host: 2, endpoint: 5 }],
  exceptions: [
    { namespace: 'tenant-b', name: 'edited', labels: { segment: 'x' }, leased: 'backend', host: 2, endpoint: 6 },
  ],
};

function said(text: string): string {
  const party: Party = partyOf(snapshotOf(FIXTURE), text as Address);
  if (party.kind === 'host') return `host ${party.name}`;
  if (party.kind !== 'pod') return party.kind;
  const labels = [...party.labels].map(([key, value]) => `${key}=${value}`).join();
  return `${party.namespace}/${party.name} on ${party.node} {${labels}} ${party.known}`;
}

test('partyOf knows its own pods by their leases, with the labels of today', () => {
  assert.equal(said('10.1.18.3'), 'tenant-a/backend on minion1 {segment=backend,app=db} all');
  assert.equal(said('fd00:10::1:1:2:3'), 'tenant-a/backend on minion1 {segment=backend,app=db} all');
});

test('partyOf knows pods elsewhere by watches and by what their hosts publish, the rest by their bits', () => {
  assert.equal(said('10.2.17.5'), 'tenant-a/web on minion2 {app=web} all');
  assert.equal(said('10.2.34.6'), 'tenant-b/edited on minion2 {segment=x} all');
  assert.equal(said('10.2.17.9'), 'tenant-a/ on minion2 {segment=frontend} segment');
  assert.equal(said('fd00:10::2:1:0:9'), 'tenant-a/ on minion2 {} segment');
});

test("partyOf calls unknown what is in a host's range without a known owner", () => {
  assert.equal(said('10.2.49.3'), 'unknown', 'no tenant 3');
  assert.equal(said('10.2.0.9'), 'unknown', 'in the pool');
  assert.equal(said('10.1.17.9'), 'unknown', 'here, without a lease');
  assert.equal(said('10.1.18.4'), 'unknown', 'finished');
});

test('partyOf knows the namespace alone of what is in a segment that nobody is known to have', () => {
  assert.equal(said('10.2.31.3'), 'tenant-a/ on minion2 {} namespace');
});

test('R32: partyOf calls outside what is in the range of no host, whatever its bits say', () => {
  assert.equal(said('10.9.17.3'), 'outside');
  assert.equal(said('fd00:10::9:1:1:3'), 'outside');
  assert.equal(said('192.0.2.1'), 'outside');
});

test('partyOf knows hosts by their own addresses', () => {
  assert.equal(said('192.168.99.12'), 'host minion2');
  assert.equal(said('fd00:99::11'), 'host minion1');
});

test('identityIndex answers as partyOf does, and the same again', () => {
  const index = identityIndex(snapshotOf(FIXTURE));
  const party = index.partyOf('10.1.18.3' as Address);
  assert.equal(index.partyOf('10.1.18.3' as Address), party);
  assert.deepEqual(party, partyOf(snapshotOf(FIXTURE), '10.1.18.3' as Address));
});
