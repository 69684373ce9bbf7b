import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Address } from '../addr/address.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { systemClock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
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
  hostId: 1,
  hostUid: 'h',
  acknowledged: ['u'],
  conditions: [],
  unenforced: [],
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
  const { reportedAt, ...status } = await statusOf(client);
  assert.deepEqual(status, { ...USE, hostId: 1, hostUid: 'h', acknowledged: ['u'], conditions: [], unenforced: [] });
  assert.ok(Math.abs(Date.parse(reportedAt) - Date.now()) < 60_000);
});

void test('Reporter writes the HostReport every minute although nothing changes, until it is stopped', async () => {
  const client = new FakeKubeClient();
  await client.create(HOSTS, { metadata: { name: 'minion1' } });
  const clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));
  const reporter = new Reporter({ client, node: 'minion1', clock, log: silentLog });
  reporter.update(REPORT);
  const written = (time: string): Promise<boolean> =>
    waitFor(`the report of ${time}`, async () => (await statusOf(client)).reportedAt === `2026-01-01T${time}.000Z`);
  await written('00:00:00');
  await clock.advance(60_000);
  await written('00:01:00');
  await clock.advance(60_000);
  await written('00:02:00');
  await reporter.stop();
  assert.equal(clock.sleeping, 0);
});

async function statusOf(client: FakeKubeClient): Promise<{ reportedAt: string }> {
  return ((await client.get(HOST_REPORTS, 'minion1')) as { status: { reportedAt: string } }).status;
}
