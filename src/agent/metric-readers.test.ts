import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityIndex } from '../plan/identity.ts';
import { meta, snapshotOf } from '../plan/snapshot-fixture.ts';
import { maySeePods, POD_METRICS_LABEL } from './metric-readers.ts';

test('maySeePods lets hosts, outsiders and pods of labelled namespaces see metrics that name pods, and no other pods', () => {
  const pods = [{ namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 }];
  const world = snapshotOf({ pods });
  const monitoring = {
    meta: meta('', 'tenant-b', new Map([[POD_METRICS_LABEL, 'read']])),
    isolated: false,
    problems: [],
  };
  const snapshot = { ...world, namespaces: new Map([...world.namespaces, ['tenant-b', monitoring]]) };
  const identities = identityIndex(snapshot);
  const may = (remote: string): boolean => maySeePods(remote, snapshot, identities);
  for (const remote of ['127.0.0.1', '::1', '192.168.99.12', '::ffff:192.168.99.11', '203.0.113.7', '10.2.32.9']) {
    assert.equal(may(remote), true, remote);
  }
  // A pod here, one of its namespace elsewhere, an address that nobody has, one of which nothing is known.
  for (const remote of ['10.1.18.3', '::ffff:10.1.18.3', '10.2.17.9', '10.1.17.77', '10.2.144.3', 'nonsense', '']) {
    assert.equal(may(remote), false, remote);
  }
});
