import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../kube/client.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { systemClock } from '../lib/clock.ts';
import { EVENTS, PODS } from '../objects/resources.ts';
import { createPod, lastWarning, podProgress } from './pod-progress.ts';

const ON_A = { nodeName: 'a' };

for (const [what, pod, expected] of [
  ['nothing yet', {}, 'it is Pending on no node'],
  [
    'a scheduler that finds no node',
    {
      status: {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }],
      },
    },
    'it is Pending on no node, 0/1 nodes',
  ],
  [
    'an image that does not come',
    {
      spec: ON_A,
      status: {
        phase: 'Pending',
        containerStatuses: [{ state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } }],
      },
    },
    'it is Pending on a, no such image',
  ],
  [
    'a container that is made',
    { spec: ON_A, status: { containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }] } },
    'it is Pending on a, ContainerCreating',
  ],
  [
    'an end',
    {
      spec: ON_A,
      status: { phase: 'Failed', containerStatuses: [{ state: { terminated: { reason: 'Error', exitCode: 1 } } }] },
    },
    'it is Failed on a, Error, exit status 1',
  ],
] as const) {
  test(`podProgress tells of ${what}`, () => {
    const { words, ready, finished } = podProgress(pod);
    assert.deepEqual([words, ready, finished], [expected, false, what === 'an end']);
  });
}

test('podProgress knows a pod that is ready', () => {
  const conditions = [{ type: 'Ready', status: 'True' }];
  assert.equal(podProgress({ spec: ON_A, status: { phase: 'Running', conditions } }).ready, true);
});

test('lastWarning is the newest one of the pod', async () => {
  const client = new FakeKubeClient();
  const event = (name: string, pod: string, type: string, lastTimestamp: string): Promise<unknown> =>
    client.create(EVENTS, {
      metadata: { name, namespace: 'n' },
      involvedObject: { kind: 'Pod', name: pod },
      type,
      message: name,
      lastTimestamp,
    });
  assert.equal(await lastWarning(client, 'n', 'p'), '');
  await event('old', 'p', 'Warning', '2026-01-01T00:00:00Z');
  await event('new', 'p', 'Warning', '2026-01-01T00:00:05Z');
  await event('normal', 'p', 'Normal', '2026-01-01T00:00:06Z');
  await event('other', 'q', 'Warning', '2026-01-01T00:00:07Z');
  assert.equal(await lastWarning(client, 'n', 'p'), 'new');
});

test('createPod waits for the service account of a new namespace, and for nothing else', async () => {
  const client = new FakeKubeClient();
  const more = { clock: systemClock, patienceMs: 1_000, signal: new AbortController().signal };
  let refusals = 2;
  const refuse = (message: string) => (): Error | undefined =>
    (refusals -= 1) < 0 ? undefined : new ApiError({ status: 403, message });
  client.fail = refuse('pods "p" is forbidden: error looking up service account n/default: not found');
  await createPod(client, { metadata: { name: 'p' } }, 'n', more);
  await client.get(PODS, 'p', 'n');
  refusals = 1;
  client.fail = refuse('pods "q" is forbidden: violates PodSecurity');
  await assert.rejects(createPod(client, { metadata: { name: 'q' } }, 'n', more), /"q" is forbidden: violates PodSec/);
});
