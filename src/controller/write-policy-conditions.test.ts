import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../kube/client.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { identityOf } from '../kube/json.ts';
import { systemClock } from '../lib/clock.ts';
import { CLUSTER_NETWORK_POLICIES } from '../objects/resources.ts';
import { type EnforcedCondition, ENFORCED } from './policy-conditions.ts';
import { writePolicyConditions } from './write-policy-conditions.ts';

const CONDITION: EnforcedCondition = { status: 'False', reason: 'FailsClosed', message: 'no', observedGeneration: 1 };
const OTHER = { type: 'example.org/Seen', status: 'True', reason: 'So', message: 'a', lastTransitionTime: 'then' };
const signal = new AbortController().signal;

interface Stored {
  readonly status: { readonly conditions: readonly object[] };
}

async function make(client: FakeKubeClient, name: string): Promise<string> {
  const made = await client.create(CLUSTER_NETWORK_POLICIES, { metadata: { name }, spec: {} });
  const status = { conditions: [OTHER] };
  await client.patch(CLUSTER_NETWORK_POLICIES, name, { status }, { subresource: 'status' });
  return identityOf(made).uid;
}

const conditionsOf = async (client: FakeKubeClient, name: string): Promise<readonly object[]> =>
  ((await client.get(CLUSTER_NETWORK_POLICIES, name)) as Stored).status.conditions;

test('writePolicyConditions writes beside the conditions of others, and keeps the time while the status is the same', async () => {
  let now = Date.parse('2026-01-01T00:00:00.123Z');
  const clock = { ...systemClock, now: () => now };
  const client = new FakeKubeClient();
  const uid = await make(client, 'p');
  const write = async (condition: EnforcedCondition): Promise<number> =>
    (await writePolicyConditions(client, clock, [{ name: 'p', uid, condition }], signal)).written;
  assert.equal(await write(CONDITION), 1);
  const first = '2026-01-01T00:00:00Z';
  assert.deepEqual(await conditionsOf(client, 'p'), [
    OTHER,
    { type: ENFORCED, ...CONDITION, lastTransitionTime: first },
  ]);
  now += 60_000;
  assert.equal(await write(CONDITION), 0, 'it stands there');
  assert.equal(await write({ ...CONDITION, observedGeneration: 2 }), 1);
  assert.deepEqual((await conditionsOf(client, 'p'))[1], {
    type: ENFORCED,
    ...CONDITION,
    observedGeneration: 2,
    lastTransitionTime: first,
  });
  await write({ ...CONDITION, status: 'True', reason: 'Enforced' });
  assert.equal(Object.entries((await conditionsOf(client, 'p'))[1] ?? {}).at(-1)?.[1], '2026-01-01T00:01:00Z');
});

test('writePolicyConditions leaves alone what is gone or made anew, and comes back to what somebody else wrote', async () => {
  const client = new FakeKubeClient();
  const uid = await make(client, 'p');
  const wanted = ['gone', 'p'].map((name) => ({ name, uid: 'another', condition: CONDITION }));
  assert.deepEqual(await writePolicyConditions(client, systemClock, wanted, signal), { written: 0, overtaken: [] });
  // Another writer comes between our look and our write.
  client.fail = ({ verb }) => (verb === 'patch' ? new ApiError({ status: 409, message: 'modified' }) : undefined);
  const own = [{ name: 'p', uid, condition: CONDITION }];
  assert.deepEqual(await writePolicyConditions(client, systemClock, own, signal), { written: 0, overtaken: ['p'] });
  assert.deepEqual(await conditionsOf(client, 'p'), [OTHER]);
});

test('writePolicyConditions tells the others when the API server refuses one', async () => {
  const client = new FakeKubeClient();
  const wanted = [];
  for (const name of ['a', 'b']) wanted.push({ name, uid: await make(client, name), condition: CONDITION });
  client.fail = ({ verb, key }) =>
    verb === 'patch' && key === 'a' ? new ApiError({ status: 422, message: 'too many conditions' }) : undefined;
  await assert.rejects(writePolicyConditions(client, systemClock, wanted, signal), /status of ClusterNetworkPolicy a/);
  assert.equal((await conditionsOf(client, 'b')).length, 2);
});
