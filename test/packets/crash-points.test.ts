import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { CniError } from '../../src/cni/errors.ts';
import { KernelError } from '../../src/kernel/kernel-error.ts';
import type { Result } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type Fault, FaultPoints } from '../support/fault-points.ts';
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

/** A host on which one pod stands that nothing may touch, and another comes and goes. */
class Bench {
  readonly host: OneHost;
  readonly #standing = TestNetns.create('stays');
  pod = TestNetns.create('pod');

  private constructor(host: OneHost) {
    this.host = host;
  }

  static async create(t: TestContext): Promise<Bench> {
    const directory = mkdtempSync(join(tmpdir(), 'romana-crash-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const host = await OneHost.create(directory);
    t.after(() => host[Symbol.asyncDispose]());
    const bench = new Bench(host);
    t.after(() => bench.#standing.removeNow());
    t.after(() => bench.pod.removeNow());
    const process = await host.start();
    assert.ok((await process.network.add(host.request(STANDING, bench.#standing), never)).ok);
    await bench.assertWhole(process, [STANDING], 'the pod that stays');
    await process.end();
    return bench;
  }

  add(process: HostProcess): ReturnType<HostProcess['network']['add']> {
    return process.network.add(this.host.request(POD, this.pod), never);
  }

  del(process: HostProcess): Promise<Result<undefined, CniError>> {
    return process.network.del(this.host.request(POD, this.pod).attachment, never);
  }

  /** Everything agrees, with these containers connected, once nothing is under way any more. */
  async assertWhole(process: HostProcess, containers: readonly string[], what: string): Promise<void> {
    await process.network.settled();
    assert.deepEqual(this.host.problems(process, containers), [], what);
  }

  /** A process that is killed at a point while it does `act`, unless that gets by. */
  async killedIn(points: FaultPoints, act: (process: HostProcess) => Promise<unknown>): Promise<void> {
    const process = await this.host.start(points);
    await Promise.race([act(process).then(() => process.network.settled()), points.crashed]);
    await process.end();
    if (points.place !== undefined) this.host.leaveUnfinishedFile();
  }

  /** ADD by a process in which nothing fails. */
  async connect(): Promise<void> {
    const process = await this.host.start();
    assert.ok((await this.add(process)).ok);
    await process.end();
  }

  /** DEL by a process in which nothing fails. */
  async disconnect(): Promise<void> {
    const process = await this.host.start();
    assert.ok((await this.del(process)).ok);
    await this.assertWhole(process, [STANDING], 'DEL');
    await process.end();
  }

  /** Lets an operation fail as it can: the disk is full, the kernel refuses, or says so although it has done it. */
  readonly failing: Exclude<Fault['act'], 'crash'> = ({ side, operation }) => {
    if (operation === 'lease put' && side === 'before') this.host.refuseLease(POD, true);
    if (operation.startsWith('lease')) {
      return operation === 'lease removed' && side === 'before' ? new Error('EIO: the disk is broken') : undefined;
    }
    return new KernelError(operation, ERRNO[operation] ?? constants.errno.ENOBUFS);
  };
}

/** Tries `once` with a fault at each point, until it has got by without one. */
async function atEachPoint(
  t: TestContext,
  act: Fault['act'],
  once: (points: FaultPoints, where: () => string) => Promise<void>,
): Promise<void> {
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

// Each on a host of its own; most of the time they wait for the kernel.
void describe('crash points', { concurrency: true }, () => {
  for (const again of [false, true]) {
    const what = again ? 'ADD and DEL' : 'DEL';
    void test(`R15: an agent that is killed at any point of ADD leaves nothing behind, once it was started again and ${what} came`, async (t) => {
      const bench = await Bench.create(t);
      await atEachPoint(t, 'crash', async (points, where) => {
        await bench.killedIn(points, (process) => bench.add(process));
        const process = await bench.host.start();
        if (again) {
          const answer = await bench.add(process);
          assert.ok(answer.ok, `${where()}: ${JSON.stringify(answer)}`);
          await bench.assertWhole(process, [STANDING, POD], where());
          assert.deepEqual(await bench.add(process), answer, 'its answer may be lost, too');
        }
        assert.ok((await bench.del(process)).ok, where());
        await bench.assertWhole(process, [STANDING], where());
        await process.end();
      });
    });

    void test(`R15: an agent that is killed at any point of DEL leaves nothing half, once it was started again and ${again ? 'DEL came again' : 'nobody asked again'}`, async (t) => {
      const bench = await Bench.create(t);
      await atEachPoint(t, 'crash', async (points, where) => {
        await bench.connect();
        await bench.killedIn(points, (process) => bench.del(process));
        const process = await bench.host.start();
        if (again) assert.ok((await bench.del(process)).ok, where());
        // Killed before it was on file that the pod leaves, the agent knows nothing of that.
        const stays = !again && points.place === 'before lease put';
        await bench.assertWhole(process, stays ? [STANDING, POD] : [STANDING], where());
        await process.end();
        await bench.disconnect();
      });
    });
  }

  void test('R15: an ADD of which any operation fails says so, gives back everything, and can be repeated', async (t) => {
    const bench = await Bench.create(t);
    await atEachPoint(t, bench.failing, async (points, where) => {
      const process = await bench.host.start(points);
      const answer = await bench.add(process);
      assert.equal(answer.ok, points.place === undefined || points.place === 'after lease put', where());
      if (!answer.ok) {
        assert.match(answer.error.msg, /^could not connect pod tenant-a\/pod: /, where());
        await process.network.settled();
        bench.host.refuseLease(POD, false);
        await bench.assertWhole(process, [STANDING], where());
        assert.ok((await bench.add(process)).ok, where());
      }
      await bench.assertWhole(process, [STANDING, POD], where());
      await process.end();
      await bench.disconnect();
    });
  });

  void test('R15: a DEL of which any operation fails leaves nothing behind, at once or when it is repeated', async (t) => {
    const bench = await Bench.create(t);
    await atEachPoint(t, bench.failing, async (points, where) => {
      await bench.connect();
      const process = await bench.host.start(points);
      const answer = await bench.del(process);
      if (!answer.ok) assert.match(answer.error.msg, /^could not take pod tenant-a\/pod off the network: /, where());
      await waitFor(`DEL to succeed after a failure ${where()}`, async () => (await bench.del(process)).ok);
      await process.network.settled();
      bench.host.refuseLease(POD, false);
      await bench.assertWhole(process, [STANDING], where());
      await process.end();
    });
  });

  void test("R15: an ADD whose pod's namespace vanishes at any point gives back everything once DEL came", async (t) => {
    const bench = await Bench.create(t);
    function vanish(): undefined {
      bench.pod.removeNow();
    }
    await atEachPoint(t, vanish, async (points, where) => {
      const process = await bench.host.start(points);
      const answer = await bench.add(process);
      if (!answer.ok) {
        assert.match(answer.error.msg, /pod tenant-a\/pod|network namespace/, where());
        await bench.assertWhole(process, [STANDING], where());
      }
      assert.ok((await bench.del(process)).ok, where());
      await bench.assertWhole(process, [STANDING], where());
      await process.end();
      await bench.disconnect();
      if (points.place !== undefined) bench.pod = TestNetns.create('pod');
    });
  });
});
