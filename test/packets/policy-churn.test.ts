import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ALPHA_ISOLATION, BETA_ISOLATION } from '../../src/objects/namespace.ts';
import { RigPolicies } from '../support/rig-policies.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;
/** In each family, between each of two clients and the server. */
const CONNECTIONS = 25;
const DEFAULT_DENY = '{"ingress":{"isolation":"DefaultDeny"}}';
const named = (name: string): object => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
const segment = (value: string): object => ({ matchLabels: { segment: value } });

/** How many transactions have changed the rules of a host. */
const TRANSACTIONS = /^romana_agent_nft_transactions_total/;
/** What the API server has sent an agent of its own accord, but for bookmarks. */
const BYTES = /^romana_agent_watch_bytes_total\{.*type="(?:ADDED|MODIFIED|DELETED)"\}$/;
/** What it was asked for: the agent writes when its own pods have come to rest. */
const REQUESTS = /^romana_agent_api_requests_total\{verb="(?:list|watch)",/;

async function count(host: RigHost, ...names: readonly RegExp[]): Promise<number[]> {
  const all = [...(await host.metrics())];
  const sum = (name: RegExp): number => all.reduce((total, [each, n]) => total + (name.test(each) ? n : 0), 0);
  return names.map(sum);
}

/** How the first policy of a kind comes, with a port beside 80, is edited to name another one, and goes. */
interface Kind {
  readonly put: (port: number) => Promise<void>;
  readonly remove: () => Promise<void>;
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

  void test('pods that come and go on another host change no rule here and send no byte, under segment and namespace policies of every kind', async () => {
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
    const counters = [TRANSACTIONS, BYTES, REQUESTS];
    const before = await count(here, ...counters);
    const [others = 0] = await count(there, TRANSACTIONS);
    for (let round = 1; round <= 3; round += 1) {
      const pod = await make(round);
      await rig.settled();
      assert.equal(await rig.reach(pod, server, 'tcp', 80), 'open', 'and yet they are known at once');
      assert.equal(await rig.reach(server, pod, 'tcp', 81), 'open');
      await rig.remove(pod);
      await rig.settled();
    }
    assert.deepEqual(await count(here, ...counters), before);
    const [after = 0] = await count(there, TRANSACTIONS);
    assert.ok(after >= others + 6, 'the counter counts');
    // Only now: the agent asks for the name of whom it denies something.
    assert.equal(await rig.reach(await make(4), server, 'tcp', 81), 'dropped');
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
    // What isolates opens nothing: that is for a policy, which comes and goes with it.
    const annotation = (key: string, isolated: string, not: string): Kind => ({
      put: async (port) => {
        await rig.policy('open', 'keeps', allowIncoming(port));
        await rig.annotate('open', { [key]: port === 81 ? isolated : not });
      },
      remove: async () => {
        await rig.annotate('open', { [key]: null });
        await rig.deletePolicy('open', 'keeps');
      },
    });
    const kinds: Record<string, Kind> = {
      demo: {
        put: (port) => rig.policy('open', 'demo', allowIncoming(port)),
        remove: () => rig.deletePolicy('open', 'demo'),
      },
      isolation: annotation(ALPHA_ISOLATION, 'on', 'off'),
      'isolation in its second form': annotation(BETA_ISOLATION, DEFAULT_DENY, '{}'),
      v1: { put: (port) => policies.v1('open', 'v1', v1(port)), remove: () => policies.delete('v1', 'open') },
      admin: { put: (port) => policies.cluster('a', cluster('Admin', port)), remove: () => policies.delete('a') },
      baseline: { put: (port) => policies.cluster('b', cluster('Baseline', port)), remove: () => policies.delete('b') },
    };
    for (const [kind, { put, remove }] of Object.entries(kinds)) {
      await put(81);
      await all(`${kind} has come`);
      await put(82);
      await all(`${kind} is edited`);
      await remove();
      await all(`${kind} is gone`);
    }
    await Promise.all(connections.map((connection) => connection.close()));
  });
});
