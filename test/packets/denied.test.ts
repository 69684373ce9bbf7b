import assert from 'node:assert/strict';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, describe, test } from 'node:test';
import { NFLOG_GROUP } from '../../src/agent/denied-listener.ts';
import { Nflog } from '../../src/kernel/nflog.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { unwrap } from '../../src/lib/result.ts';
import { parseToldDenial, type ToldDenial } from '../../src/objects/denial.ts';
import { CLUSTER_NETWORK_POLICIES, EVENTS } from '../../src/objects/resources.ts';
import { OUTSIDE, Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const ROMANA = resolve(import.meta.dirname, '../../src/bin/romana.ts');
const OPENS_80 = { podSelector: { app: 'server' }, allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }] } };

/** What a host has counted of a pod: egress, ingress. */
async function counts(what: 'accepted' | 'denied', host: RigHost, { namespace, name }: RigPod): Promise<number[]> {
  const metrics = await host.metrics();
  return ['egress', 'ingress'].map((direction) => {
    const labels = `namespace="${namespace}",pod="${name}",direction="${direction}"`;
    return metrics.get(`romana_agent_connections_${what}_total{${labels}}`) ?? NaN;
  });
}

void describe('what policy denies is counted and told', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start();
  });
  afterEach(() => rig.clear());
  after(() => rig[Symbol.asyncDispose]());

  /** An isolated namespace with a server on the first host, of which port 80 is open, and a client on each. */
  async function makeTenant(namespace: string): Promise<[server: RigPod, near: RigPod, far: RigPod]> {
    await rig.namespace(namespace, { isolated: true });
    await rig.policy(namespace, 'web', OPENS_80);
    const pods = await Promise.all([
      rig.pod({ namespace, name: 'server', labels: { app: 'server' } }),
      rig.pod({ namespace, name: 'near' }),
      rig.pod({ namespace, name: 'far', host: 1 }),
    ]);
    await rig.settled();
    return pods;
  }

  async function told(namespace: string, count: number): Promise<readonly ToldDenial[]> {
    return waitFor(`${count} events`, async () => {
      const { items } = await rig.api.client.list(EVENTS, { namespace, fieldSelector: 'reason=PolicyDenied' });
      const denials = items.flatMap((item) => unwrap(parseToldDenial(item)) ?? []);
      if (denials.length !== count) throw new Error(`${JSON.stringify(denials)}\n${rig.log}`);
      return denials;
    });
  }

  void test('connections, not packets, are counted for each pod and direction, in both families', async () => {
    const [server, near, far] = await makeTenant('counted');
    const [here, there] = [rig.host(0), rig.host(1)];
    for (const from of [near, far]) {
      assert.equal(await rig.reach(from, server, 'tcp', 80), 'open');
      assert.equal(await rig.reach(from, server, 'udp', 80), 'dropped');
    }
    // Each packet is still the first to the kernel's policy while no answer comes.
    const options = { sourcePort: 40_009 };
    for (const n of [1, 2, 3]) assert.equal(await near.probe.udp(OUTSIDE[0], 9, options), 'refused', `packet ${n}`);
    assert.deepEqual(await counts('accepted', here, server), [0, 2 + 2]);
    assert.deepEqual(await counts('accepted', here, near), [2 + 1, 0]);
    assert.deepEqual(await counts('accepted', there, far), [2 + 2, 0], 'that host lets it go');
    assert.deepEqual(await counts('denied', here, server), [0, 2 + 2]);
    assert.deepEqual(await counts('denied', there, far), [0, 0]);
    await rig.remove(near);
    assert.deepEqual(await counts('accepted', here, near), [NaN, NaN]);
  });

  void test('an event on the pod, and the log, say who was denied what and why, once for each pair', async () => {
    const [server, near, far] = await makeTenant('told');
    for (const from of [near, far]) {
      for (const port of [81, 82]) assert.equal(await rig.reach(from, server, 'tcp', port), 'dropped');
    }
    const events = await told('told', 2);
    for (const from of [near, far]) {
      // Of a pod on another host, too, the name is known.
      const event = events.find((each) => each.from === `told/${from.name}`);
      assert.ok(event !== undefined && (from.addresses as readonly string[]).includes(event.fromAddress));
      assert.deepEqual(
        [event.direction, event.to, event.port, event.tier, event.object, event.node],
        ['ingress', 'told/server', 'TCP/81', 'isolation', 'Namespace told', 'host1'],
      );
      assert.match(event.near.join(), /^demo NetworkPolicy told\/web spec\.allowIncoming: /);
    }
    const lines = rig
      .host(0)
      .log.split('\n')
      .filter((line) => line.includes('policy denies a connection'));
    const logged = lines.map((line) => JSON.parse(line) as { from: string; to: string; port: string; object: string });
    for (const from of [near, far]) {
      const ports = logged.filter((line) => line.from === `told/${from.name}`).map(({ port }) => port);
      assert.deepEqual(ports.sort(), ['TCP/81', 'TCP/81', 'TCP/82', 'TCP/82'], 'in both families');
    }
  });

  void test('romana policy denied shows what all nodes tell, and goes on with -w', async () => {
    const [server, near, far] = await makeTenant('shown');
    await rig.isolate('shown', 'off');
    await rig.api.client.create(CLUSTER_NETWORK_POLICIES, { ...KEPT, metadata: { name: 'shown' } });
    await Promise.all([near, far].map((pod) => pod.label({ app: 'kept' })));
    await rig.settled();
    const romana = ['policy', 'denied', '-n', 'shown', '-o', 'json', '--kubeconfig', rig.api.kubeconfig] as const;
    const watched = rig
      .host(0)
      .ns.spawn([process.execPath, ROMANA, ...romana, '-w'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const lines: { node: string; from: string; to: string }[] = [];
      assert.ok(watched.stdout !== null);
      createInterface({ input: watched.stdout }).on('line', (line) =>
        lines.push(JSON.parse(line) as (typeof lines)[0]),
      );
      await Promise.all([near, far].map((pod) => pod.probe.udp(server.address(4), 81, { timeoutMs: 1 })));
      await waitFor('both', () => lines.length === 2);
      const listed = await rig.host(0).ns.run([process.execPath, ROMANA, ...romana]);
      for (const shown of [lines, JSON.parse(listed) as typeof lines]) {
        assert.deepEqual(
          shown.map(({ node, from, to }) => [node, from, to]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
          [
            ['host1', 'shown/near', 'shown/server'],
            ['host2', 'shown/far', 'shown/server'],
          ],
        );
      }
      watched.kill('SIGINT');
      assert.deepEqual(await once(watched, 'exit'), [0, null]);
    } finally {
      watched.kill('SIGKILL');
      await rig.api.client.delete(CLUSTER_NETWORK_POLICIES, 'shown');
    }
  });

  void test('egress denied by a ClusterNetworkPolicy, and what is denied towards the own host, is told of by name', async () => {
    await rig.namespace('leaving');
    const [pod, other] = await Promise.all([
      rig.pod({ namespace: 'leaving', name: 'pod', labels: { app: 'kept' } }),
      rig.pod({ namespace: 'leaving', name: 'other', host: 1 }),
    ]);
    await rig.api.client.create(CLUSTER_NETWORK_POLICIES, KEPT);
    await rig.settled();
    assert.equal(await rig.reach(pod, other, 'udp', 80), 'dropped');
    await pod.probe.udp(rig.host(0).addresses[0], 7, { timeoutMs: 1 });
    const events = await told('leaving', 2);
    assert.deepEqual(
      events
        .map(({ direction, from, to, port, tier, object, field }) => [direction, from, to, port, tier, object, field])
        .sort(([, , a = ''], [, , b = '']) => (a < b ? -1 : 1)),
      [
        ['egress', 'leaving/pod', 'host host1', 'UDP/7', 'admin', 'ClusterNetworkPolicy kept', 'spec.egress[0].to[0]'],
        [
          'egress',
          'leaving/pod',
          'leaving/other',
          'UDP/80',
          'admin',
          'ClusterNetworkPolicy kept',
          'spec.egress[1].to[0]',
        ],
      ],
    );
    assert.deepEqual((await counts('denied', rig.host(0), pod))[0], 3);
    await rig.api.client.delete(CLUSTER_NETWORK_POLICIES, 'kept');
  });

  void test('a flood of denied packets is counted whole, and costs the agent a few', async () => {
    const [server, near] = await makeTenant('flooded');
    const host = rig.host(0);
    const toldOf = async (): Promise<number> =>
      (await host.metrics()).get('romana_agent_denied_packets_told_total{direction="ingress"}') ?? 0;
    const [before, start] = [await toldOf(), performance.now()];
    const flood = await near.probe.flood(server.address(4), 99);
    await waitFor('the flood', async () => ((await counts('denied', host, server))[1] ?? 0) > 20_000);
    await flood.stop();
    const heard = await waitFor('what is told', async () => (await toldOf()) - before);
    const seconds = (performance.now() - start) / 1_000;
    assert.ok(heard <= 11 + 2 * seconds, `${heard} in ${seconds} s`);
    await told('flooded', 1);
    assert.equal((await host.metrics()).get('romana_agent_denied_packets_lost_total'), 0);
  });

  void test('another program may have the NFLOG group: policy holds, the metric says so, and it is taken when it is free', async () => {
    const host = rig.host(0);
    await host.stopAgent();
    const heard: string[] = [];
    const other = new Nflog({
      group: NFLOG_GROUP,
      netns: host.ns.path,
      onPacket: ({ dst }) => heard.push(dst),
      onLost: () => undefined,
      onEnded: () => undefined,
    });
    try {
      await host.startAgent(rig.api.kubeconfig);
      const listening = async (): Promise<number | undefined> =>
        (await host.metrics()).get('romana_agent_denied_listening');
      assert.equal(await listening(), 0);
      assert.match(host.log, /cannot listen to denied packets/);
      const [server, near] = await makeTenant('busy');
      assert.equal(await rig.reach(near, server, 'tcp', 81), 'dropped');
      assert.equal(await rig.reach(near, server, 'tcp', 80), 'open');
      assert.ok(((await counts('denied', host, server))[1] ?? 0) >= 2);
      assert.deepEqual(heard, [], 'others are not told what is not theirs');
      other.close();
      await waitFor('the group', async () => (await listening()) === 1);
      await rig.settled();
      assert.equal(await rig.reach(near, server, 'tcp', 81), 'dropped');
      await told('busy', 1);
    } finally {
      other.close();
    }
  });
});

/** Keeps pods from all nodes and all other pods. */
const KEPT = {
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: 'kept' },
  spec: {
    tier: 'Admin',
    priority: 7,
    subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'kept' } } } },
    egress: [
      { action: 'Deny', to: [{ nodes: {} }] },
      { action: 'Deny', to: [{ namespaces: {} }] },
    ],
  },
};
