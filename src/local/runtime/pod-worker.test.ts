import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { unwrap } from '../../lib/result.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { at, conditionOf, objectsAt, textAt } from '../kube-json.ts';
import { FakeDriver, memoryRecords } from './fake-driver.ts';
import { Limiter } from './limiter.ts';
import { PodManager } from './pod-manager.ts';
import { parsePodSpec, type PodSpec } from './pod-spec.ts';
import { PodWorker, type PodWorkerOptions } from './pod-worker.ts';

function podSpec(spec: object = {}, metadata: object = {}, status: object = {}): PodSpec {
  const containers = [{ name: 'main', image: 'any', command: ['work'] }];
  return unwrap(
    parsePodSpec({
      metadata: { name: 'p', namespace: 'ns', uid: 'u1', ...metadata },
      spec: { containers, ...spec },
      status: { conditions: [{ type: 'PodScheduled', status: 'True' }], ...status },
    }),
  );
}

const deleted = (graceSeconds: number): object => ({
  deletionTimestamp: '2026-01-01T00:00:00Z',
  deletionGracePeriodSeconds: graceSeconds,
});

interface World {
  readonly clock: FakeClock;
  readonly driver: FakeDriver;
  readonly records: ReturnType<typeof memoryRecords>;
  readonly events: string[];
  readonly statuses: object[];
  readonly finished: string[];
  readonly options: PodWorkerOptions;
}

function world(): World {
  const clock = new FakeClock(1_000_000);
  const driver = new FakeDriver(() => new Date(clock.now()).toISOString());
  const records = memoryRecords();
  const events: string[] = [];
  const statuses: object[] = [];
  const finished: string[] = [];
  const reports: PodWorkerOptions['reports'] = {
    status: (_pod, status) => Promise.resolve(void statuses.push({ status })),
    deleted: (pod) => Promise.resolve(void finished.push(pod.uid)),
    event: (_pod, _type, reason) => void events.push(reason),
  };
  const limiter = new Limiter(4);
  const images = { nginx: undefined, nginxLibraries: [], checkout: '/c' };
  const hostAddresses = ['192.168.99.11', 'fd00:99::11'];
  const options = { driver, images, records, reports, limiter, hostAddresses, clock, log: silentLog };
  return { clock, driver, records, events, statuses, finished, options };
}

const lastStatus = (w: World): unknown => w.statuses.at(-1);
const phaseIs = (w: World, phase: string): Promise<unknown> =>
  waitFor(`phase ${phase}`, () => textAt(lastStatus(w), 'status', 'phase') === phase);
const firstContainer = (w: World): unknown => objectsAt(lastStatus(w), 'status', 'containerStatuses')[0];
const waitingFor = (w: World): string => textAt(firstContainer(w), 'state', 'waiting', 'reason');

/** What a runtime that is started now finds on file, while the one before goes on undisturbed. */
function afterRestart(w: World): PodWorkerOptions & { readonly records: ReturnType<typeof memoryRecords> } {
  const records = memoryRecords();
  for (const record of w.records.load()) records.save(record);
  return { ...w.options, records };
}

/** Moves the clock on as soon as somebody sleeps. */
async function pass(w: World, ms: number): Promise<void> {
  await waitFor('a sleeper', () => w.clock.sleeping > 0);
  await w.clock.advance(ms);
}

test('PodWorker reports a running pod with addresses of both families and the conditions of others kept', async () => {
  const w = world();
  const worker = new PodWorker(podSpec(), undefined, w.options);
  await phaseIs(w, 'Running');
  const status = lastStatus(w);
  assert.deepEqual(at(status, 'status', 'podIPs'), [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }]);
  assert.equal(textAt(status, 'status', 'hostIP'), '192.168.99.11');
  assert.equal(conditionOf(status, 'PodScheduled')?.status, 'True');
  assert.equal(conditionOf(status, 'Ready')?.status, 'True');
  assert.deepEqual(w.events, ['Pulled', 'Created', 'Started']);
  worker.remove();
  await worker.done;
});

test('PodWorker tries again when a sandbox can not be made, and removes what there was of it', async () => {
  const w = world();
  w.driver.failures.create = 2;
  const worker = new PodWorker(podSpec(), undefined, w.options);
  await pass(w, 200);
  await pass(w, 400);
  await phaseIs(w, 'Running');
  assert.deepEqual(w.driver.steps, ['remove sandbox1', 'remove sandbox2', 'create sandbox3', 'start main']);
  assert.deepEqual(w.events.filter((event) => event === 'FailedCreatePodSandBox').length, 2);
  worker.remove();
  await worker.done;
});

test('PodWorker restarts at once, then waits 10 s, 20 s: CrashLoopBackOff', async () => {
  const w = world();
  const worker = new PodWorker(podSpec(), undefined, w.options);
  const nth = async (count: number): Promise<void> => {
    await waitFor(`container ${count}`, () => w.driver.containers.length === count);
  };
  await nth(1);
  w.driver.containers[0]?.exit(1);
  await nth(2);
  w.driver.containers[1]?.exit(1);
  await waitFor('the back-off', () => waitingFor(w) === 'CrashLoopBackOff');
  assert.equal(at(firstContainer(w), 'restartCount'), 1);
  assert.equal(at(firstContainer(w), 'lastState', 'terminated', 'exitCode'), 1);
  await pass(w, 9_999);
  assert.equal(w.driver.containers.length, 2);
  await pass(w, 1);
  await nth(3);
  w.driver.containers[2]?.exit(1);
  await pass(w, 19_999);
  assert.equal(w.driver.containers.length, 3);
  await pass(w, 1);
  await nth(4);
  assert.equal(w.driver.containers[3]?.record.restartCount, 3);
  worker.remove();
  await worker.done;
});

for (const [policy, code, phase] of [
  ['Never', 0, 'Succeeded'],
  ['Never', 3, 'Failed'],
  ['OnFailure', 0, 'Succeeded'],
] as const) {
  test(`PodWorker with restartPolicy ${policy} is ${phase} after exit ${code}, and gives its sandbox back`, async () => {
    const w = world();
    const worker = new PodWorker(podSpec({ restartPolicy: policy }), undefined, w.options);
    await phaseIs(w, 'Running');
    w.driver.containers[0]?.exit(code);
    await phaseIs(w, phase);
    await waitFor('the sandbox to go', () => w.driver.steps.includes('remove sandbox1'));
    assert.deepEqual(w.finished, [], 'the pod stays until it is deleted');
    worker.update(podSpec({ restartPolicy: policy }, deleted(30)));
    await worker.done;
    assert.deepEqual(w.finished, ['u1']);
    assert.equal(w.records.all.size, 0);
  });
}

test('PodWorker runs init containers one by one, and fails the pod when one fails for good', async () => {
  const w = world();
  const initContainers = ['one', 'two'].map((name) => ({ name, image: 'any', command: ['work'] }));
  const worker = new PodWorker(podSpec({ initContainers, restartPolicy: 'Never' }), undefined, w.options);
  await waitFor('one', () => w.driver.containers.length === 1);
  w.driver.containers[0]?.exit(0);
  await waitFor('two', () => w.driver.containers.length === 2);
  w.driver.containers[1]?.exit(1);
  await phaseIs(w, 'Failed');
  assert.deepEqual(w.driver.steps.slice(0, 3), ['create sandbox1', 'start one', 'start two']);
  worker.remove();
  await worker.done;
});

test('PodWorker asks containers to end, ends them after the grace, and repeats DEL until it succeeds', async () => {
  const w = world();
  w.driver.obedient = false;
  const worker = new PodWorker(podSpec(), undefined, w.options);
  await phaseIs(w, 'Running');
  w.driver.failures.remove = 1;
  worker.update(podSpec({}, deleted(5)));
  const container = w.driver.containers[0];
  await waitFor('SIGTERM', () => container?.signals.length === 1);
  await pass(w, 4_999);
  assert.deepEqual(container?.signals, ['SIGTERM']);
  await pass(w, 1);
  await waitFor('SIGKILL', () => container?.signals.length === 2);
  await waitFor('the failed DEL', () => w.events.includes('FailedKillPod'));
  assert.deepEqual(w.finished, []);
  await pass(w, 1_000);
  await worker.done;
  assert.deepEqual(w.finished, ['u1']);
  assert.deepEqual(w.driver.steps.slice(-2), ['remove sandbox1', 'forget']);
});

test('PodWorker makes another sandbox when the one it has is lost', async () => {
  const w = world();
  const worker = new PodWorker(podSpec(), undefined, w.options);
  await phaseIs(w, 'Running');
  w.driver.loseSandbox('sandbox1');
  await waitFor('another container', () => w.driver.containers.length === 2);
  assert.equal(w.driver.containers[1]?.record.restartCount, 1);
  assert.ok(w.events.includes('SandboxChanged'));
  assert.ok(w.driver.steps.includes('remove sandbox1'));
  worker.remove();
  await worker.done;
});

test('PodWorker shows ErrImagePull, then ImagePullBackOff, for an image without recipe', async () => {
  const w = world();
  const worker = new PodWorker(podSpec({ containers: [{ name: 'main', image: 'x' }] }), undefined, w.options);
  await waitFor('ErrImagePull', () => waitingFor(w) === 'ErrImagePull');
  await pass(w, 2_000);
  await waitFor('ImagePullBackOff', () => waitingFor(w) === 'ImagePullBackOff');
  assert.equal(textAt(lastStatus(w), 'status', 'podIP'), '10.0.0.1', 'its sandbox is there');
  worker.remove();
  await worker.done;
});

test('PodWorker leaves a pod alone that the API server knows as finished', async () => {
  const w = world();
  const worker = new PodWorker(podSpec({}, deleted(0), { phase: 'Succeeded' }), undefined, w.options);
  await worker.done;
  assert.deepEqual([w.driver.steps, w.statuses, w.finished], [['forget'], [], ['u1']]);
});

test('PodManager takes over what an earlier runtime left, and restarts nothing', async () => {
  const w = world();
  const first = new PodManager(w.options);
  first.sync([podSpec()]);
  await phaseIs(w, 'Running');
  const restarted = afterRestart(w);
  const second = new PodManager(restarted);
  w.statuses.length = 0;
  second.sync([podSpec()]);
  await phaseIs(w, 'Running');
  assert.deepEqual(w.driver.steps, ['create sandbox1', 'start main']);
  assert.equal(at(firstContainer(w), 'restartCount'), 0);
  second.sync([]);
  await waitFor('its end', () => restarted.records.all.size === 0);
  assert.ok(w.driver.steps.includes('remove sandbox1'));
});

test('PodManager removes pods that went while no runtime was there', async () => {
  const w = world();
  new PodManager(w.options).sync([podSpec()]);
  await phaseIs(w, 'Running');
  const restarted = afterRestart(w);
  new PodManager(restarted).sync([]);
  await waitFor('its end', () => restarted.records.all.size === 0);
  assert.deepEqual(w.driver.containers[0]?.signals.at(-1), 'SIGKILL');
});

test('PodManager keeps a pod and its namesake successor apart', async () => {
  const w = world();
  const manager = new PodManager(w.options);
  manager.sync([podSpec()]);
  await phaseIs(w, 'Running');
  manager.sync([podSpec({}, { uid: 'u2' })]);
  await waitFor(
    'the change',
    () => !w.records.all.has('u1') && w.records.all.get('u2')?.containers['main'] !== undefined,
  );
});

/** What the API server has of a pod whose node went off while it ran. */
const RAN = {
  phase: 'Running',
  containerStatuses: [
    {
      name: 'main',
      containerID: 'romana://1',
      restartCount: 2,
      state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    },
  ],
};

test('PodWorker runs a pod again whose node was booted, counts that as a restart, and never says Pending', async () => {
  const w = world();
  const worker = new PodWorker(podSpec({}, {}, RAN), undefined, w.options);
  await waitFor('the start', () => at(firstContainer(w), 'state', 'running') !== undefined);
  assert.deepEqual(new Set(w.statuses.map((status) => textAt(status, 'status', 'phase'))), new Set(['Running']));
  assert.equal(at(firstContainer(w), 'restartCount'), 3);
  assert.equal(at(firstContainer(w), 'lastState', 'terminated', 'exitCode'), 255);
  assert.equal(textAt(firstContainer(w), 'lastState', 'terminated', 'reason'), 'Unknown');
  worker.remove();
  await worker.done;
});

test('PodWorker does not run a pod again after a boot that may never be: it has failed', async () => {
  const w = world();
  const worker = new PodWorker(podSpec({ restartPolicy: 'Never' }, {}, RAN), undefined, w.options);
  await phaseIs(w, 'Failed');
  assert.equal(at(firstContainer(w), 'state', 'terminated', 'exitCode'), 255);
  assert.deepEqual(w.driver.steps, []);
  worker.remove();
  await worker.done;
});

test('PodWorker says again what it said when the API server has come to doubt it', async () => {
  const w = world();
  const worker = new PodWorker(podSpec(), undefined, w.options);
  await waitFor('Ready', () => conditionOf(lastStatus(w), 'Ready')?.status === 'True');
  const said = w.statuses.length;
  const seen = (ready: string): PodSpec =>
    podSpec({}, {}, { phase: 'Running', conditions: [{ type: 'Ready', status: ready }] });
  worker.update(seen('False'));
  await waitFor('another report', () => w.statuses.length === said + 1);
  assert.equal(conditionOf(lastStatus(w), 'Ready')?.status, 'True');
  worker.remove();
  await worker.done;
});

test('PodManager.leave ends pods by their grace, removes their sandboxes and deletes none of them', async () => {
  const w = world();
  w.driver.obedient = false;
  const manager = new PodManager(w.options);
  manager.sync([podSpec({ terminationGracePeriodSeconds: 7 })]);
  await waitFor('Ready', () => conditionOf(lastStatus(w), 'Ready')?.status === 'True');
  const left = manager.leave();
  await waitFor('SIGTERM', () => w.driver.containers[0]?.signals.includes('SIGTERM'));
  manager.sync([podSpec({ terminationGracePeriodSeconds: 7 }), podSpec({}, { uid: 'u2', name: 'late' })]);
  await pass(w, 6_900);
  assert.deepEqual(w.driver.containers[0]?.signals, ['SIGTERM']);
  await pass(w, 100);
  await left;
  assert.deepEqual(w.driver.containers[0]?.signals, ['SIGTERM', 'SIGKILL']);
  assert.deepEqual(
    w.driver.steps.filter((step) => step.startsWith('remove')),
    ['remove sandbox1'],
  );
  assert.deepEqual([w.finished, w.driver.containers.length], [[], 1]);
  assert.equal(conditionOf(lastStatus(w), 'Ready')?.status, 'False');
});
