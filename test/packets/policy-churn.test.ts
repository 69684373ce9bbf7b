import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RigPolicies } from '../support/rig-policies.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;
/** In each family, between each of two clients and the server. */
const CONNECTIONS = 25;
const named = (name: string): object => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
const segment = (value: string): object => ({ matchLabels: { segment: value } });

/** How many transactions have changed the rules of a host. */
async function transactions(host: RigHost): Promise<number> {
  const all = [...(await host.metrics())].filter(([name]) => name.startsWith('romana_agent_nft_transactions_total'));
  return all.reduce((sum, [, count]) => sum + count, 0);
}

const allowIncoming = (port: number): object => ({
  podSelector: {},
  allowIncoming: { toPorts: [80, port].map((p) => ({ port: p, protocol: 'TCP' })) },
});
const v1 = (port: number): object => {
  const ports = [{ port: 80 }, { port }];
  const policyTypes = ['Ingress', 'Egress'];
  return { podSelector: {}, policyTypes, ingress: [{ ports }], egress: [{ ports, to: [{ podSelector: {} }] }] };
};
const cluster = (tier: string, port: number): object => {
  const protocols = [{ tcp: { destinationPort: { number: 80 } } }, { tcp: { destinationPort: { number: port } } }];
  const subject = { namespaces: named('open') };
  const peers = [{ namespaces: {} }];
  const rules = (side: 'from' | 'to'): object[] => [
    { action: 'Accept', [side]: peers, protocols },
    { action: 'Deny', [side]: peers },
  ];
  return { tier, subject, ingress: rules('from'), egress: rules('to') };
};

void describe('rules that stand still', () => {
  let rig: Rig;
  let policies: RigPolicies;
  before(async () => {
    rig = await Rig.start();
    policies = new RigPolicies(rig);
  });
  after(() => rig[Symbol.asyncDispose]());

  void test('pods that come and go on another host change no rule here, under segment and namespace policies of every kind', async () => {
    await Promise.all([rig.namespace('still', { isolated: true }), rig.namespace('peers')]);
    const server = await rig.pod({ namespace: 'still', name: 'server', labels: { segment: 's' } });
    const make = (n: number): Promise<RigPod> =>
      rig.pod({ namespace: 'peers', name: `peer${n}`, labels: { segment: 'p' }, host: 1 });
    const first = await make(0);
    await rig.policy('still', 'demo', { podSelector: {}, allowIncoming: { from: [{ pods: { segment: 's' } }] } });
    const from = [{ namespaceSelector: named('peers'), podSelector: segment('p') }];
    await policies.v1('still', 'v1', { podSelector: {}, ingress: [{ from, ports: [{ port: 80 }] }] });
    await policies.v1('still', 'out', { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: from }] });
    const pods = { namespaceSelector: named('peers'), podSelector: segment('p') };
    await policies.cluster('deny', {
      subject: { namespaces: named('still') },
      ingress: [{ action: 'Deny', from: [{ pods: { ...pods, podSelector: segment('other') } }] }],
      egress: [{ action: 'Pass', to: [{ namespaces: named('peers') }] }],
    });
    await rig.settled();
    assert.equal(await rig.reach(first, server, 'tcp', 80), 'open');
    const [here, there] = [rig.host(0), rig.host(1)];
    const before = await transactions(here);
    const others = await transactions(there);
    for (let round = 1; round <= 3; round += 1) {
      const pod = await make(round);
      await rig.settled();
      assert.equal(await rig.reach(pod, server, 'tcp', 80), 'open', 'and yet they are known at once');
      assert.equal(await rig.reach(pod, server, 'tcp', 81), 'dropped');
      assert.equal(await rig.reach(server, pod, 'tcp', 81), 'open');
      await rig.remove(pod);
      await rig.settled();
    }
    assert.equal(await transactions(here), before);
    assert.ok((await transactions(there)) >= others + 6, 'the counter counts');
    await policies.clear();
    await rig.deletePolicy('still', 'demo');
    await rig.clear();
  });

  void test('the first policy of each kind comes, is edited and goes, and none of 100 allowed connections breaks', async () => {
    await rig.namespace('open');
    const [server, near, far] = await Promise.all([
      rig.pod({ namespace: 'open', name: 'server', labels: { segment: 's' } }),
      rig.pod({ namespace: 'open', name: 'near', labels: { segment: 'c' } }),
      rig.pod({ namespace: 'open', name: 'far', labels: { segment: 'c' }, host: 1 }),
    ]);
    const opening = [near, far].flatMap((client) =>
      FAMILIES.flatMap((family) =>
        Array.from({ length: CONNECTIONS }, () => client.probe.open(server.address(family), 80, { timeoutMs: 5_000 })),
      ),
    );
    const connections = await Promise.all(opening);
    const all = async (when: string): Promise<void> => {
      await rig.settled();
      const works = await Promise.all(connections.map((connection) => connection.exchange({ timeoutMs: 5_000 })));
      assert.equal(works.filter(Boolean).length, connections.length, when);
    };
    await all('before');
    const kinds: Record<string, { put: (port: number) => Promise<void>; remove: () => Promise<void> }> = {
      demo: {
        put: (port) => rig.policy('open', 'demo', allowIncoming(port)),
        remove: () => rig.deletePolicy('open', 'demo'),
      },
      isolation: {
        put: (port) => rig.isolate('open', port === 81 ? 'on' : 'off'),
        remove: () => rig.isolate('open', 'off'),
      },
      v1: { put: (port) => policies.v1('open', 'v1', v1(port)), remove: () => policies.delete('v1', 'open') },
      admin: { put: (port) => policies.cluster('a', cluster('Admin', port)), remove: () => policies.delete('a') },
      baseline: { put: (port) => policies.cluster('b', cluster('Baseline', port)), remove: () => policies.delete('b') },
    };
    await rig.policy('open', 'keeps', { podSelector: {}, allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }] } });
    for (const [kind, { put, remove }] of Object.entries(kinds)) {
      await put(81);
      await all(`${kind} has come`);
      await put(82);
      await all(`${kind} is edited`);
      await remove();
      await all(`${kind} is gone`);
    }
    await rig.deletePolicy('open', 'keeps');
    await Promise.all(connections.map((connection) => connection.close()));
  });
});
