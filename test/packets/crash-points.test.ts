import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test, type TestContext } from 'node:test';
import type { CniError } from '../../src/cni/errors.ts';
import { KernelError } from '../../src/kernel/kernel-error.ts';
import type { Result } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type Fault, type FaultPoint, FaultPoints } from '../support/fault-points.ts';
import { TestNetns } from '../support/netns.ts';
import { type HostProcess, OneHost } from '../support/one-host.ts';

const STANDING = 'stays';
const POD = 'pod';
/** More points than any run has. */
const MAX_POINTS = 60;
const never = new AbortController().signal;

/** What the operations fail with, where that is something of their own. */
const ERRNO: Readonly<Record<string, number>> = {
  'link made': constants.errno.EEXIST,
  'link up': constants.errno.ENODEV,
  'link removed': constants.errno.EBUSY,
};

void describe('crash points', () => {
  let host: OneHost;
  let pod: TestNetns;
  let standing: TestNetns;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'romana-crash-'));
    host = await OneHost.create(directory);
    standing = TestNetns.create('stays');
  });
  beforeEach(() => {
    pod = TestNetns.create('pod');
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
    await standing[Symbol.asyncDispose]();
    await pod[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const add = (process: HostProcess): ReturnType<HostProcess['network']['add']> =>
    process.network.add(host.request(POD, pod), never);
  const del = (process: HostProcess): Promise<Result<undefined, CniError>> =>
    process.network.del(host.request(POD, pod).attachment, never);

  /** Everything agrees, with these containers connected, once nothing is under way any more. */
  async function assertWhole(process: HostProcess, containers: readonly string[], what: string): Promise<void> {
    await process.network.settled();
    assert.deepEqual(host.problems(process, containers), [], what);
  }

  /** A pod that nothing may touch. */
  async function withStanding(): Promise<void> {
    const process = await host.start();
    assert.ok((await process.network.add(host.request(STANDING, standing), never)).ok);
    await assertWhole(process, [STANDING], 'the pod that stays');
    await process.end();
  }

  /** Tries `once` with a fault at each point, until it has got by without one; what the points were. */
  async function atEachPoint(
    t: TestContext,
    act: Fault['act'],
    once: (points: FaultPoints, what: () => string) => Promise<void>,
  ): Promise<void> {
    await withStanding();
    const places: string[] = [];
    for (let at = 0; at < MAX_POINTS; at += 1) {
      const points = new FaultPoints({ at, act });
      await once(points, () => `${points.place ?? 'no fault'} (${at})`);
      if (points.place === undefined) {
        t.diagnostic(`${places.length} points: ${places.join(', ')}`);
        assert.ok(places.length > 4);
        return;
      }
      places.push(points.place);
    }
    assert.fail(`there are more than ${MAX_POINTS} points`);
  }

  /** A process that is killed at a point while it does `act`, unless that gets by. */
  async function killedIn(points: FaultPoints, act: (process: HostProcess) => Promise<unknown>): Promise<void> {
    const process = await host.start(points);
    await Promise.race([act(process).then(() => process.network.settled()), points.crashed]);
    await process.end();
    if (points.place !== undefined) host.leaveUnfinishedFile();
  }

  for (const [what, next] of [
    ['DEL', del],
    ['ADD and DEL', async (process: HostProcess) => ((await add(process)).ok ? del(process) : add(process))],
  ] as const) {
    void test(`an agent that is killed at any point of ADD leaves nothing behind, once it was started again and ${what} came`, (t) =>
      atEachPoint(t, 'crash', async (points, where) => {
        await killedIn(points, add);
        const process = await host.start();
        const answer = await next(process);
        assert.ok(answer.ok, `${where()}: ${JSON.stringify(answer)}`);
        await assertWhole(process, [STANDING], where());
        await process.end();
      }));
  }

  void test('an agent that is killed at any point of ADD connects the pod once it was started again and ADD came again', (t) =>
    atEachPoint(t, 'crash', async (points, where) => {
      await killedIn(points, add);
      const process = await host.start();
      const answer = await add(process);
      assert.ok(answer.ok, `${where()}: ${JSON.stringify(answer)}`);
      await assertWhole(process, [STANDING, POD], where());
      assert.deepEqual(await add(process), answer, 'again');
      assert.ok((await del(process)).ok);
      await assertWhole(process, [STANDING], where());
      await process.end();
    }));

  for (const [what, next] of [
    ['DEL came again', del],
    ['nobody asked again', () => Promise.resolve({ ok: true })],
  ] as const) {
    void test(`an agent that is killed at any point of DEL leaves nothing half, once it was started again and ${what}`, (t) =>
      atEachPoint(t, 'crash', async (points, where) => {
        const earlier = await host.start();
        assert.ok((await add(earlier)).ok);
        await earlier.end();
        await killedIn(points, del);
        const process = await host.start();
        assert.ok((await next(process)).ok, where());
        // Killed before it was on file that the pod leaves, the agent knows nothing of that.
        const stays = next !== del && points.place === 'before lease put';
        await assertWhole(process, stays ? [STANDING, POD] : [STANDING], where());
        assert.ok((await del(process)).ok);
        await assertWhole(process, [STANDING], where());
        await process.end();
      }));
  }

  /** DEL, to a process in which nothing fails. */
  async function takeAway(): Promise<void> {
    const process = await host.start();
    assert.ok((await del(process)).ok);
    await assertWhole(process, [STANDING], 'DEL');
    await process.end();
  }

  /** Lets an operation fail as it can: the disk is full, the kernel refuses, or says so although it has done it. */
  function failing({ side, operation }: FaultPoint): Error | undefined {
    if (operation === 'lease put' && side === 'before') host.refuseLease(POD, true);
    if (operation.startsWith('lease')) {
      return operation === 'lease removed' && side === 'before' ? new Error('EIO: the disk is broken') : undefined;
    }
    return new KernelError(operation, ERRNO[operation] ?? constants.errno.ENOBUFS);
  }

  void test('an ADD of which any operation fails says so, gives back everything, and can be repeated', (t) =>
    atEachPoint(t, failing, async (points, where) => {
      const process = await host.start(points);
      const answer = await add(process);
      assert.equal(answer.ok, points.place === undefined || points.place === 'after lease put', where());
      if (!answer.ok) {
        assert.match(answer.error.msg, /^could not connect pod tenant-a\/pod: /, where());
        await process.network.settled();
        host.refuseLease(POD, false);
        await assertWhole(process, [STANDING], where());
        assert.ok((await add(process)).ok, where());
      }
      await assertWhole(process, [STANDING, POD], where());
      await process.end();
      await takeAway();
    }));

  void test('a DEL of which any operation fails leaves nothing behind, at once or when it is repeated', (t) =>
    atEachPoint(t, failing, async (points, where) => {
      const earlier = await host.start();
      assert.ok((await add(earlier)).ok);
      await earlier.end();
      const process = await host.start(points);
      const answer = await del(process);
      if (!answer.ok) assert.match(answer.error.msg, /^could not take pod tenant-a\/pod off the network: /, where());
      await waitFor(`DEL to succeed after a failure ${where()}`, async () => (await del(process)).ok);
      await process.network.settled();
      host.refuseLease(POD, false);
      await assertWhole(process, [STANDING], where());
      await process.end();
    }));

  function vanish(): undefined {
    pod.removeNow();
  }

  void test("an ADD whose pod's namespace vanishes at any point gives back everything once DEL came", (t) =>
    atEachPoint(t, vanish, async (points, where) => {
      const process = await host.start(points);
      const answer = await add(process);
      if (!answer.ok) {
        assert.match(answer.error.msg, /pod tenant-a\/pod|network namespace/, where());
        await assertWhole(process, [STANDING], where());
      }
      assert.ok((await del(process)).ok, where());
      await assertWhole(process, [STANDING], where());
      await process.end();
      if (points.place !== undefined) pod = TestNetns.create('pod');
    }));
});
