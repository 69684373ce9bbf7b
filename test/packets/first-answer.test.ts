import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Probe } from '../support/probe.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const ROUNDS = 8;
const NAMESPACE = 'r2';
/** TCP sends again after a second, and UDP never: what is answered so soon was not lost. */
const NO_RETRY_MS = 500;

/** Every way to open a connection, all at once: what came of each. */
async function tryAll(from: Probe, to: RigPod): Promise<string[]> {
  const options = { timeoutMs: NO_RETRY_MS };
  const tries = to.addresses.flatMap((address) => [
    from.tcp(address, 80, options),
    from.tcp(address, 81, options),
    from.udp(address, 80, options),
    from.udp(address, 81, options),
  ]);
  return Promise.all(tries);
}

void describe('the first packet after ADD', () => {
  let rig: Rig;
  /** One of segment `client` and one of segment `server` on each host, which are there all the time. */
  let clients: readonly RigPod[];
  let servers: readonly RigPod[];

  before(async () => {
    rig = await Rig.start();
    await rig.namespace(NAMESPACE, { isolated: true });
    const allowIncoming = { from: [{ pods: { segment: 'client' } }] };
    await rig.policy(NAMESPACE, 'clients', { podSelector: { segment: 'server' }, allowIncoming });
    const both = (segment: string): Promise<RigPod[]> =>
      Promise.all(
        [0, 1].map((host) => rig.pod({ namespace: NAMESPACE, name: `${segment}${host}`, labels: { segment }, host })),
      );
    [clients, servers] = await Promise.all([both('client'), both('server')]);
    await rig.settled();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** Makes a pod and lets `use` have it at the very moment at which ADD has returned; nobody knows its address yet. */
  async function withPod(segment: string, host: number, use: (pod: RigPod) => Promise<void>): Promise<void> {
    const pod = await rig.newPod({ namespace: NAMESPACE, name: 'new', labels: { segment }, host });
    await pod.add();
    await use(pod);
    await pod.del();
  }

  void test('R2: what a new pod sends first to pods of both hosts, under a segment policy, is answered', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await withPod('client', round % 2, async (pod) => {
        const outcomes = await Promise.all(servers.map((server) => tryAll(pod.probe, server)));
        assert.deepEqual(new Set(outcomes.flat()), new Set(['open']), `round ${round}: ${outcomes.join('; ')}`);
      });
    }
  });

  void test('R2: what pods of both hosts, and its own host, send first to a new pod is answered', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await withPod('server', round % 2, async (pod) => {
        const senders = [...clients.map(({ probe }) => probe), pod.host.probe];
        const outcomes = await Promise.all(senders.map((probe) => tryAll(probe, pod)));
        assert.deepEqual(new Set(outcomes.flat()), new Set(['open']), `round ${round}: ${outcomes.join('; ')}`);
      });
    }
  });

  /** Makes one pod after the other, each of which opens connections at once. */
  async function churn(name: string): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const pod = await rig.newPod({ namespace: NAMESPACE, name, labels: { segment: 'client' } });
      await pod.add();
      const outcomes = await Promise.all(servers.map((server) => tryAll(pod.probe, server)));
      assert.deepEqual(new Set(outcomes.flat()), new Set(['open']), `${name}, round ${round}: ${outcomes.join('; ')}`);
      await pod.del();
    }
  }

  void test('R2: so it is while other pods come and go', async () => {
    await Promise.all(['x', 'y', 'z'].map(churn));
  });
});
