import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DEFAULT_PLANS, encode, FIRST_ENDPOINT } from '../../src/addr/plan.ts';
import { unwrap } from '../../src/lib/result.ts';
import { parseTenant } from '../../src/objects/tenant.ts';
import { TENANTS } from '../../src/objects/resources.ts';
import { received } from '../support/netns-counters.ts';
import { Rig } from '../support/rig.ts';
import { RigFlood } from '../support/rig-flood.ts';
import type { RigPod } from '../support/rig-pod.ts';

const NAMESPACE = 'r29';
/** How each server lets clients in: by nothing, by their segment, and by another label. */
const SERVERS = ['closed', 'by-segment', 'by-label'] as const;

void describe('a host that joins late', () => {
  let rig: Rig;
  let flood: RigFlood;
  /** On the hosts that were there before. */
  let clients: readonly RigPod[];
  let servers: readonly RigPod[];
  /** The addresses that the first pods of the segments on the late host will have. */
  let expected: ReadonlyMap<string, readonly string[]>;

  before(async () => {
    rig = await Rig.start();
    await Promise.all([rig.namespace(NAMESPACE, { isolated: true }), rig.namespace('senders')]);
    for (const [segment, peers] of [
      ['by-segment', { segment: 'client' }],
      ['by-label', { role: 'client' }],
    ] as const) {
      await rig.policy(NAMESPACE, segment, { podSelector: { segment }, allowIncoming: { from: [{ pods: peers }] } });
    }
    const labels = { segment: 'client', role: 'client' };
    clients = await Promise.all(
      [0, 1].map((host) => rig.pod({ namespace: NAMESPACE, name: `client${host}`, labels, host })),
    );
    servers = await Promise.all(
      SERVERS.map((segment) => rig.pod({ namespace: NAMESPACE, name: segment, labels: { segment } })),
    );
    const tenant = unwrap(parseTenant(await rig.api.client.get(TENANTS, NAMESPACE)));
    expected = new Map(
      SERVERS.map((name) => {
        const segment = tenant.segments.find((each) => each.name === name)?.id ?? 0;
        // The controller gives host ids in order, from 0.
        const ids = { host: 2, tenant: tenant.id ?? 0, segment, endpoint: FIRST_ENDPOINT };
        return [name, DEFAULT_PLANS.map((plan) => unwrap(encode(plan, ids)))];
      }),
    );
    const sender = await rig.pod({ namespace: 'senders', name: 'sender', host: 1 });
    flood = RigFlood.start(sender.ns, [...expected.values()].flat());
    await rig.settled();
  });
  after(() => rig[Symbol.asyncDispose]());

  void test('R29: polices its first pods from their first packet on by what was made before it joined', async () => {
    await rig.join();
    for (const segment of SERVERS) {
      const pod = await rig.newPod({ namespace: NAMESPACE, name: `late-${segment}`, labels: { segment }, host: 2 });
      await pod.add();
      assert.deepEqual(pod.addresses, expected.get(segment), 'the flood is for them');
      await flood.pass();
      assert.equal(received(pod.ns), 0, segment);
      // Segments are known by their bits at once, other peers when their addresses are seen.
      const open = segment !== 'closed';
      if (segment === 'by-label') await rig.settled();
      for (const client of clients) {
        assert.equal(await rig.reach(client, pod, 'tcp', 80), open ? 'open' : 'dropped', segment);
      }
      assert.equal(await rig.reach(servers[0] as RigPod, pod, 'udp', 80), 'dropped', segment);
    }
  });

  void test('R29: its first pod reaches those that let it in by its segment with its first packet, and no others', async () => {
    const labels = { segment: 'client' };
    const pod = await rig.newPod({ namespace: NAMESPACE, name: 'late-client', labels, host: 2 });
    await pod.add();
    const outcomes = await Promise.all(servers.map((server) => rig.reach(pod, server, 'tcp', 80)));
    assert.deepEqual(outcomes, ['dropped', 'open', 'dropped']);
    await pod.label({ role: 'client' });
    await pod.report();
    await rig.settled();
    assert.equal(await rig.reach(pod, servers[2] as RigPod, 'tcp', 80), 'open');
  });
});
