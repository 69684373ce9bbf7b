import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAddress } from '../addr/address.ts';
import { silentLog } from '../lib/log.ts';
import { unwrap } from '../lib/result.ts';
import type { Lease } from '../plan/snapshot.ts';
import { leaseFileText } from './lease-file.ts';
import { LeaseStore } from './leases.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'romana-leases-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 'leases');
}

function lease(n: number): Lease {
  return {
    uid: `u-${n}`,
    containerId: `c${n}`,
    ifname: 'eth0',
    hostInterface: `roma0000000000${n}`,
    namespace: 'tenant-a',
    pod: `web-${n}`,
    segment: null,
    addresses: [unwrap(parseAddress(`10.1.17.${n}`)), unwrap(parseAddress(`fd00:10::1:1:1:${n}`))],
    hostMac: '02:00:00:00:00:01',
    podMac: '02:00:00:00:00:02',
  };
}

test('LeaseStore keeps leases and their states over a restart, readable by root alone', (t) => {
  const directory = folder(t);
  const store = new LeaseStore(directory, silentLog);
  for (const n of [3, 4, 5, 6]) store.put(lease(n), 'adding');
  store.put(lease(4), 'active');
  store.put(lease(5), 'leaving');
  store.remove(lease(6).hostInterface);
  store.remove(lease(6).hostInterface);
  for (const known of [store, new LeaseStore(directory, silentLog)]) {
    assert.deepEqual(known.list(), [lease(3), lease(4)]);
    assert.deepEqual(known.withState('adding', 'leaving'), [lease(3), lease(5)]);
    assert.deepEqual(known.get(lease(4).hostInterface), { lease: lease(4), state: 'active' });
    assert.equal(known.get(lease(6).hostInterface), undefined);
    assert.deepEqual(
      known.addresses(),
      [3, 4, 5].flatMap((n) => lease(n).addresses),
    );
  }
  assert.deepEqual(
    readdirSync(directory),
    [3, 4, 5].map((n) => `${lease(n).hostInterface}.json`),
  );
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, `${lease(3).hostInterface}.json`)).mode & 0o777, 0o600);
});

test('LeaseStore keeps a damaged file aside, its addresses taken, until its attachment goes', (t) => {
  const directory = folder(t);
  mkdirSync(directory);
  const text = leaseFileText(lease(3), 'active');
  const path = join(directory, `${lease(3).hostInterface}.json`);
  writeFileSync(path, text.slice(0, text.indexOf('hostMac')));
  writeFileSync(join(directory, `${lease(4).hostInterface}.json`), leaseFileText(lease(4), 'active'));
  const errors: object[] = [];
  const log = { ...silentLog, error: (fields: object) => void errors.push(fields) };
  for (const store of [new LeaseStore(directory, log), new LeaseStore(directory, log)]) {
    assert.deepEqual(store.list(), [lease(4)]);
    const [damaged] = store.damaged();
    assert.ok(damaged !== undefined && store.damaged().length === 1);
    assert.equal(damaged.path, `${path}.damaged`);
    assert.equal(damaged.hostInterface, lease(3).hostInterface);
    assert.deepEqual(store.addresses(), [...lease(4).addresses, ...lease(3).addresses]);
    assert.equal(readFileSync(damaged.path, 'utf8'), text.slice(0, text.indexOf('hostMac')));
  }
  assert.equal(errors.length, 2);
  const store = new LeaseStore(directory, silentLog);
  store.remove(lease(3).hostInterface);
  assert.deepEqual(store.addresses(), lease(4).addresses);
  assert.ok(!existsSync(`${path}.damaged`));
});

test('LeaseStore keeps aside what has the name of another interface, and what cannot be read', (t) => {
  const directory = folder(t);
  mkdirSync(directory);
  writeFileSync(join(directory, `${lease(4).hostInterface}.json`), leaseFileText(lease(3), 'active'));
  mkdirSync(join(directory, 'strange.json'));
  const store = new LeaseStore(directory, silentLog);
  assert.deepEqual(store.list(), []);
  assert.deepEqual(store.addresses(), lease(3).addresses);
  assert.deepEqual(
    store.damaged().map(({ hostInterface }) => hostInterface),
    [lease(4).hostInterface, undefined],
  );
});

test('LeaseStore removes files that were never finished and leaves those of others', (t) => {
  const directory = folder(t);
  mkdirSync(directory);
  writeFileSync(join(directory, '.roma00000000003.json.1.tmp'), leaseFileText(lease(3), 'active'));
  writeFileSync(join(directory, 'README'), 'x');
  assert.deepEqual(new LeaseStore(directory, silentLog).addresses(), []);
  assert.deepEqual(readdirSync(directory), ['README']);
});

test('LeaseStore does not keep what it could not write, but forgets nothing that leaves', (t) => {
  const directory = folder(t);
  const store = new LeaseStore(directory, silentLog);
  store.put(lease(3), 'active');
  rmSync(directory, { recursive: true });
  assert.throws(() => store.put(lease(4), 'adding'), /could not write the lease of tenant-a\/web-4/);
  assert.throws(() => store.put(lease(3), 'leaving'), /could not write/);
  assert.deepEqual(store.list(), []);
  assert.deepEqual(store.withState('leaving'), [lease(3)]);
  store.remove(lease(3).hostInterface);
  assert.deepEqual(store.addresses(), []);
  mkdirSync(directory);
  chmodSync(directory, 0o700);
  store.put(lease(4), 'adding');
  assert.deepEqual(new LeaseStore(directory, silentLog).list(), [lease(4)]);
});
