import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { HOST_REPORTS, HOSTS, NODES } from '../objects/resources.ts';
import { FakeApi } from './fake-api.ts';
import { GONE_MS, removeOrphanReports } from './orphan-reports.ts';

/** An API server with reports of the given age in milliseconds. */
async function makeApi(clock: FakeClock, ages: Readonly<Record<string, number | undefined>>): Promise<FakeApi> {
  const api = new FakeApi();
  for (const [name, age] of Object.entries(ages)) {
    const status = age === undefined ? {} : { reportedAt: new Date(clock.now() - age).toISOString() };
    await api.create(HOST_REPORTS, { metadata: { name }, status });
  }
  return api;
}

void test('removeOrphanReports removes those of Nodes that are gone whose agents have been silent for an hour', async () => {
  const clock = new FakeClock(2 * GONE_MS);
  const api = await makeApi(clock, {
    gone: GONE_MS,
    late: GONE_MS - 1,
    never: undefined,
    node: GONE_MS,
    host: GONE_MS,
  });
  await api.create(NODES, { metadata: { name: 'node' } });
  await api.create(HOSTS, { metadata: { name: 'host' }, spec: { id: 1, ranges: [] } });
  assert.deepEqual(await removeOrphanReports(api, clock, api.state()), ['gone']);
  assert.deepEqual([...api.state().reports.keys()], ['late', 'never', 'node', 'host']);
});

void test('removeOrphanReports removes none by an old copy: its Node is back, or its agent has spoken', async () => {
  const clock = new FakeClock(2 * GONE_MS);
  const api = await makeApi(clock, { back: GONE_MS, spoken: GONE_MS });
  const old = api.state();
  await api.create(NODES, { metadata: { name: 'back' } });
  await api.patch(HOST_REPORTS, 'spoken', { status: { reportedAt: new Date(clock.now()).toISOString() } });
  assert.deepEqual(await removeOrphanReports(api, clock, old), []);
});
