import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { parseHost } from '../objects/host.ts';
import { hostRelease, segmentRelease } from '../objects/release.ts';
import { parseTenant, type Tenant } from '../objects/tenant.ts';
import { Acknowledgements, type Owners } from './acknowledgements.ts';

function tenant(uid: string, segments: readonly { name: string; id: number }[] = []): Tenant {
  const metadata = { name: `of-${uid}`, uid };
  return unwrap(parseTenant({ apiVersion: 'romana.io/v1', kind: 'Tenant', metadata, status: { id: 1, segments } }));
}

const NOBODY: Owners = { hosts: [], tenants: [] };

function owners(...tenants: readonly Tenant[]): Owners {
  return { hosts: [], tenants };
}

void test('R33: Acknowledgements waits until all that is known of the time of the announcement is in force', () => {
  const given = new Acknowledgements();
  const asked = { releases: ['gone'], version: 10 };
  assert.deepEqual(given.update(asked, undefined, NOBODY), []);
  assert.deepEqual(given.update(asked, 9, NOBODY), []);
  assert.equal(given.pending, true);
  assert.deepEqual(given.update(asked, 10, NOBODY), ['gone']);
  assert.equal(given.pending, false);
});

void test('R33: Acknowledgements keeps what it gave while other releases come, and forgets those that are over', () => {
  const given = new Acknowledgements();
  given.update({ releases: ['a'], version: 10 }, 10, NOBODY);
  assert.deepEqual(given.update({ releases: ['a', 'b'], version: 12 }, 11, NOBODY), ['a']);
  assert.deepEqual(given.update({ releases: ['b'], version: 13 }, undefined, NOBODY), []);
  assert.deepEqual(given.update({ releases: ['a', 'b'], version: 14 }, undefined, NOBODY), []);
});

void test('R33: Acknowledgements denies what a Tenant still has, and takes back what one has again', () => {
  const given = new Acknowledgements();
  const segment = segmentRelease({ uid: 'a' }, 3, '7');
  const asked = { releases: ['a', segment, segmentRelease({ uid: 'a' }, 4, '7')], version: 1 };
  assert.deepEqual(given.update(asked, 1, owners(tenant('a', [{ name: 's', id: 3 }]))), [asked.releases[2]]);
  assert.deepEqual(given.update(asked, 1, owners(tenant('b'))), asked.releases);
  assert.deepEqual(given.update(asked, 1, owners(tenant('a', [{ name: 's', id: 3 }]))), [asked.releases[2]]);
});

void test('R33: Acknowledgements denies a host id that a Host still has', () => {
  const host = unwrap(parseHost({ metadata: { name: 'minion5' }, spec: { id: 5, ranges: [] } }));
  const { meta } = unwrap(
    parseHost({ metadata: { name: 'host-5', resourceVersion: '7' }, spec: { id: 0, ranges: [] } }),
  );
  const asked = { releases: [hostRelease({ id: 5, meta })], version: 1 };
  assert.deepEqual(new Acknowledgements().update(asked, 1, { hosts: [host], tenants: [] }), []);
  assert.deepEqual(new Acknowledgements().update(asked, 1, NOBODY), ['host-5/7']);
});

void test('R33: Acknowledgements begins anew after a list: an API server that went back in time asks again', () => {
  const given = new Acknowledgements();
  given.update({ releases: ['a'], version: 10 }, 12, NOBODY);
  given.forget();
  assert.deepEqual(given.update({ releases: ['a'], version: 10 }, undefined, NOBODY), []);
});

void test('R33: Acknowledgements.startAnew asks once for each restored backup, and forgets', () => {
  const given = new Acknowledgements();
  given.update({ releases: ['a'], version: 10 }, 12, NOBODY);
  const asked = { releases: ['restored:monday', 'a'], version: 14 };
  assert.deepEqual([given.startAnew({ releases: ['a'], version: 10 }), given.startAnew(asked)], [false, true]);
  assert.deepEqual(given.update(asked, undefined, NOBODY), []);
  assert.equal(given.startAnew(asked), false);
  assert.deepEqual(given.update(asked, 14, NOBODY), asked.releases);
  assert.equal(given.startAnew({ releases: ['restored:friday'], version: 20 }), true);
});
