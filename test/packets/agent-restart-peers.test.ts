import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;

const opens = (port: number, pods: object): object => ({
  podSelector: { segment: 'backend' },
  allowIncoming: { toPorts: ['TCP', 'UDP'].map((protocol) => ({ port, protocol })), from: [{ pods }] },
});

void describe('agents that start anew, and peers that only labels name', () => {
  let rig: Rig;
  let pods: readonly [backend: RigPod, frontend: RigPod, teller: RigPod];
  before(async () => {
    rig = await Rig.start({ proxied: true });
    await rig.namespace('a', { isolated: true });
    await rig.policy('a', 'by-segment', opens(80, { segment: 'frontend' }));
    await rig.policy('a', 'by-label', opens(81, { role: 'teller' }));
    pods = await Promise.all([
      rig.pod({ namespace: 'a', name: 'backend', labels: { segment: 'backend' } }),
      rig.pod({ namespace: 'a', name: 'frontend', labels: { segment: 'frontend' }, host: 1 }),
      rig.pod({ namespace: 'a', name: 'teller', labels: { role: 'teller' }, host: 1 }),
    ]);
    await rig.settled();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** Restarts all agents under traffic of both peers; nothing of it is lost, and nothing forbidden passes. */
  async function restart(): Promise<void> {
    const [backend, frontend, teller] = pods;
    const streams = await Promise.all(
      FAMILIES.flatMap((family) => [
        frontend.probe.stream(backend.address(family), 80),
        teller.probe.stream(backend.address(family), 81),
      ]),
    );
    for (const host of rig.hosts) {
      await host.stopAgent('SIGKILL');
      await host.startAgent(rig.api.kubeconfig);
    }
    for (const stream of streams) {
      const { sent, echoed, connects, connected } = await stream.stop();
      assert.deepEqual({ echoed, connected }, { echoed: sent, connected: connects });
      assert.ok(sent > 20, `${sent} datagrams only`);
    }
    assert.equal(await rig.reach(teller, backend, 'tcp', 80), 'dropped');
    for (const host of rig.hosts) assert.doesNotMatch(host.log, /cuts connections/);
  }

  void test('R9: no packet of theirs is lost, no connection is cut', restart);

  void test('R9: nor while the API server is away', async () => {
    await rig.api.proxy.misbehave({ do: 'refuse' });
    await restart();
    await rig.api.proxy.behave();
    await rig.settled();
  });
});
