import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Address } from '../addr/address.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { HOST_REPORTS, HOSTS } from '../objects/resources.ts';
import { type Report, Reporter } from './reporter.ts';
import type { Use } from './use.ts';

const USE: Use = { leases: [{ tenant: 1, segment: 1, count: 1 }], use: { endpoints: 1, pool: 0 } };
const REPORT: Report = {
  exceptions: [
    { namespace: 'a', pod: 'p', uid: 'u', addresses: ['10.1.17.3' as Address], labels: new Map([['segment', 'x']]) },
  ],
  use: () => USE,
  acknowledged: ['u'],
  conditions: [],
};

void test('Reporter writes exceptions and use once, and again only when they differ', async () => {
  const client = new FakeKubeClient();
  await client.create(HOSTS, {
    apiVersion: 'romana.io/v1',
    kind: 'Host',
    metadata: { name: 'minion1' },
    spec: { id: 1 },
  });
  let patches = 0;
  const counting = new Proxy(client, {
    get(target, key) {
      if (key === 'patch') patches += 1;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const reporter = new Reporter({ client: counting, node: 'minion1', clock: systemClock, log: silentLog });
  reporter.update(REPORT);
  await waitFor('the report', () => patches >= 3); // Host, HostReport that is not there yet, HostReport
  reporter.update({ ...REPORT });
  await reporter.stop();
  assert.equal(patches, 3);
  const host = (await client.get(HOSTS, 'minion1')) as { status: { exceptions: unknown } };
  assert.deepEqual(host.status.exceptions, [
    { namespace: 'a', pod: 'p', uid: 'u', addresses: ['10.1.17.3'], labels: { segment: 'x' } },
  ]);
  const report = (await client.get(HOST_REPORTS, 'minion1')) as { status: object };
  assert.deepEqual(report.status, { ...USE, acknowledged: ['u'], conditions: [] });
});
