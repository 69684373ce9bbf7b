import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../addr/address.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { systemClock } from '../lib/clock.ts';
import { unwrap } from '../lib/result.ts';
import { policyTraceToJson } from '../objects/policy-trace.ts';
import { POLICY_TRACES } from '../objects/resources.ts';
import { ApiError } from '../kube/client.ts';
import { OLD_TRACE_MS, removeOldTraces } from './old-traces.ts';

const [from, to] = ['10.1.17.3', '10.2.17.3'].map((text) => unwrap(parseAddress(text)));

test('removeOldTraces removes what nobody asks any more, and nothing younger', async () => {
  assert.ok(from !== undefined && to !== undefined);
  let now = 1_000_000;
  const clock = { ...systemClock, now: () => now };
  const client = new FakeKubeClient(() => now);
  const ask = (host: string): Promise<unknown> =>
    client.create(POLICY_TRACES, policyTraceToJson({ host, direction: 'egress', from, to, protocol: 'TCP', port: 80 }));
  await ask('n1');
  now += OLD_TRACE_MS - 1_000;
  await ask('n2');
  assert.equal(await removeOldTraces(client, clock), 0);
  now += 1_000;
  assert.equal(await removeOldTraces(client, clock), 1);
  const { items } = await client.list(POLICY_TRACES);
  assert.deepEqual(
    items.map((item) => (item as { spec: { host: string } }).spec.host),
    ['n2'],
  );
});

test('removeOldTraces has nothing to do where the cluster has no such kind', async () => {
  const client = new FakeKubeClient();
  client.fail = () => new ApiError({ status: 404, message: 'the server could not find the requested resource' });
  assert.equal(await removeOldTraces(client, systemClock), 0);
});
