import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { EVENTS } from '../objects/resources.ts';
import { ApiError } from './client.ts';
import { EventRecorder, MAX_WAITING, type Occurrence, WINDOW_MS } from './events.ts';
import { FakeKubeClient } from './fake-client.ts';
import { asRecord, identityOf } from './json.ts';

function setUp(t: TestContext) {
  const client = new FakeKubeClient();
  const clock = new FakeClock(1_000_000);
  const abort = new AbortController();
  t.after(() => abort.abort());
  const recorder = new EventRecorder({
    client,
    component: 'romana-agent',
    host: 'minion1',
    clock,
    log: silentLog,
    signal: abort.signal,
  });
  return { client, clock, recorder };
}

function occurrence(message: string, namespace = 'ns'): Occurrence {
  const object = { apiVersion: 'v1', kind: 'Pod', namespace, name: 'p', uid: 'u' };
  return { object, type: 'Warning', reason: 'SegmentFull', message };
}

function stored(client: FakeKubeClient) {
  return client.store.all(EVENTS).map((event) => asRecord(event) ?? {});
}

void test('EventRecorder writes an event about its object', async (t) => {
  const { client, recorder } = setUp(t);
  recorder.record(occurrence('no endpoint is left'));
  await recorder.settled();
  const [event = {}] = stored(client);
  assert.equal(identityOf(event).namespace, 'ns');
  const { reason, message, type, count, firstTimestamp, source, involvedObject } = event;
  assert.deepEqual(
    { reason, message, type, count, firstTimestamp, source, involvedObject },
    {
      reason: 'SegmentFull',
      message: 'no endpoint is left',
      type: 'Warning',
      count: 1,
      firstTimestamp: '1970-01-01T00:16:40Z',
      source: { component: 'romana-agent', host: 'minion1' },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'ns', name: 'p', uid: 'u' },
    },
  );
});

void test('EventRecorder stores events of cluster scoped objects in default', async (t) => {
  const { client, recorder } = setUp(t);
  const object = { apiVersion: 'romana.io/v1', kind: 'Host', name: 'minion1' };
  recorder.record({ object, type: 'Normal', reason: 'HostReady', message: 'ready' });
  await recorder.settled();
  const [event = {}] = stored(client);
  assert.equal(identityOf(event).namespace, 'default');
  assert.deepEqual(event['involvedObject'], object);
});

void test('EventRecorder counts what repeats within the window, and begins anew after it', async (t) => {
  const { client, clock, recorder } = setUp(t);
  const again = async (): Promise<void> => {
    recorder.record(occurrence('full'));
    await recorder.settled();
  };
  recorder.record(occurrence('full'));
  await again();
  await again();
  assert.deepEqual(
    stored(client).map((e) => e['count']),
    [3],
  );
  await clock.advance(WINDOW_MS);
  await again();
  assert.deepEqual(
    stored(client).map((e) => e['count']),
    [3, 1],
  );
});

void test('EventRecorder writes a new event when the counted one is gone', async (t) => {
  const { client, recorder } = setUp(t);
  recorder.record(occurrence('full'));
  await recorder.settled();
  const { name } = identityOf(stored(client)[0]);
  await client.delete(EVENTS, name, { namespace: 'ns' });
  recorder.record(occurrence('full'));
  await recorder.settled();
  assert.equal(stored(client).length, 1);
});

void test('EventRecorder tries again when the API server is away, and drops what it refuses', async (t) => {
  const { client, clock, recorder } = setUp(t);
  let away = true;
  client.fail = () => (away ? new Error('connect ECONNREFUSED') : undefined);
  recorder.record(occurrence('one'));
  await waitFor('the wait', () => clock.sleeping === 1);
  away = false;
  await clock.advance(30_000);
  await recorder.settled();
  assert.equal(stored(client).length, 1);
  client.fail = () => new ApiError({ status: 403, message: 'not for you' });
  recorder.record(occurrence('two'));
  await recorder.settled();
  assert.equal(stored(client).length, 1);
});

void test('EventRecorder drops what is more than its queue holds', async (t) => {
  const { client, recorder } = setUp(t);
  for (let i = 0; i < MAX_WAITING + 5; i += 1) recorder.record(occurrence(`message ${i}`));
  assert.equal(recorder.dropped, 5);
  await recorder.settled();
  assert.equal(stored(client).length, MAX_WAITING);
});
