import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { decode, type Decoded, parsePlan } from '../../src/addr/plan.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { HOSTS } from '../../src/objects/resources.ts';
import { TestNetns } from '../support/netns.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

/** Tenants 1 to 3, segments 0 and 1, endpoints 3 to 6; in the shared pool of a host 3 to 14. */
const PLANS = ['10.0.0.0/22:4,2,1,3', 'fd00:10::/118:4,2,1,3'];
const PER_SEGMENT = 4;
const PER_POOL = 12;
const CNI_TRY_AGAIN = 11;

void describe('full fields', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start({ plans: PLANS });
  });
  afterEach(() => rig.clear());
  after(() => rig[Symbol.asyncDispose]());

  /** What comes of TCP to port 80 of `to` from each of `from`. */
  const reach = (to: RigPod, from: readonly RigPod[]): Promise<string[]> =>
    Promise.all(from.map((pod) => rig.reach(pod, to, 'tcp', 80)));

  async function idOf(host: RigHost): Promise<number> {
    return ((await rig.api.client.get(HOSTS, host.name)) as { spec: { id: number } }).spec.id;
  }

  /** Pods with the same labels, one after the other. */
  async function makePods(namespace: string, prefix: string, count: number, more: object): Promise<RigPod[]> {
    const pods: RigPod[] = [];
    for (let n = 0; n < count; n += 1) pods.push(await rig.pod({ namespace, name: `${prefix}${n}`, ...more }));
    return pods;
  }

  void test('R28: pods of a segment that is full on their host are in the shared pool, no address has bits of others', async () => {
    await rig.namespace('full', { isolated: true });
    const host = await idOf(rig.host(0));
    const { id: tenant } = await rig.pod({ namespace: 'full', name: 'server', host: 1 }).then(() => rig.tenant('full'));
    const a = await makePods('full', 'a', PER_SEGMENT + 2, { labels: { segment: 'a' } });
    for (const [n, pod] of a.entries()) {
      for (const fields of fieldsOf(pod)) {
        assert.equal(fields.host, host);
        if (n < PER_SEGMENT) assert.deepEqual([fields.tenant, fields.segment, fields.pool], [tenant, 1, undefined]);
        else assert.deepEqual([fields.tenant, fields.pool], [0, true]);
      }
    }
    const [none, elsewhere] = await Promise.all([
      rig.pod({ namespace: 'full', name: 'none' }),
      rig.pod({ namespace: 'full', name: 'elsewhere', labels: { segment: 'a' }, host: 1 }),
    ]);
    for (const fields of fieldsOf(none)) assert.deepEqual([fields.tenant, fields.segment], [tenant, 0]);
    for (const fields of fieldsOf(elsewhere)) assert.deepEqual([fields.tenant, fields.segment], [tenant, 1]);
  });

  void test('R28: policies are exact for pods of the shared pool, as peers and as subjects, on one host and on two', async () => {
    await Promise.all([rig.namespace('exact', { isolated: true }), rig.namespace('stranger')]);
    const servers = [
      await rig.pod({ namespace: 'exact', name: 'server0' }),
      await rig.pod({ namespace: 'exact', name: 'server1', host: 1 }),
    ];
    const a = await makePods('exact', 'a', PER_SEGMENT + 1, { labels: { segment: 'a' } });
    // The one segment id is taken, so this one has no bits at all.
    const b = await makePods('exact', 'b', 1, { labels: { segment: 'b' } });
    const strangers = await makePods('stranger', 'a', PER_SEGMENT + 1, { labels: { segment: 'a' }, host: 1 });
    const pooled = [...a, ...b, ...strangers].filter((pod) => fieldsOf(pod).every(({ pool }) => pool === true));
    assert.deepEqual(
      pooled.map(({ namespace, name }) => `${namespace}/${name}`),
      ['exact/a4', 'exact/b0', 'stranger/a4'],
    );
    const from = [...a, ...b, ...strangers];
    const opened = (segment: string): string[] =>
      from.map(({ namespace, labels }) =>
        namespace === 'exact' && labels['segment'] === segment ? 'open' : 'dropped',
      );
    for (const segment of ['a', 'b']) {
      await rig.policy('exact', 'clients', { podSelector: {}, allowIncoming: { from: [{ pods: { segment } }] } });
      await rig.settled();
      for (const server of servers)
        assert.deepEqual(await reach(server, from), opened(segment), `${server.name}, from ${segment}`);
    }
    await rig.policy('exact', 'clients', { podSelector: { segment: 'a' }, allowIncoming: {} });
    await rig.settled();
    for (const pod of [...a, ...b]) {
      const want = pod.labels['segment'] === 'a' ? 'open' : 'dropped';
      assert.equal(await rig.reach(strangers[0] ?? pod, pod, 'tcp', 80), want, pod.name);
    }
  });

  void test('R28: a namespace that finds no tenant id works like the others, by the shared pool', async () => {
    const names = ['one', 'two', 'three', 'four'];
    await Promise.all(names.map((name) => rig.namespace(name, { isolated: true })));
    const pods: RigPod[] = [];
    for (const namespace of names) {
      for (const host of [0, 1]) {
        for (const segment of ['client', 'server']) {
          pods.push(await rig.pod({ namespace, name: `${segment}${host}`, labels: { segment }, host }));
        }
      }
      const allowIncoming = { from: [{ pods: { segment: 'client' } }] };
      await rig.policy(namespace, 'pol1', { podSelector: { segment: 'server' }, allowIncoming });
    }
    assert.equal((await rig.tenant('four')).pooled, true);
    await rig.settled();
    for (const to of pods) {
      const others = pods.filter((pod) => pod !== to);
      const want = others.map((from) =>
        from.namespace === to.namespace && from.labels['segment'] === 'client' && to.labels['segment'] === 'server'
          ? 'open'
          : 'dropped',
      );
      assert.deepEqual(await reach(to, others), want, `${to.namespace}/${to.name}`);
    }
  });

  void test('R28: a host whose pool is full too refuses pods of a full segment, until one goes', async (t) => {
    await rig.namespace('last');
    const host = rig.host(0);
    const pod = await rig.newPod({ namespace: 'last', name: 'many', labels: { segment: 'x' } });
    await waitFor('the tenant', () => rig.tenant('last').catch(() => undefined));
    const args = `K8S_POD_NAMESPACE=last;K8S_POD_NAME=many;K8S_POD_UID=${pod.uid}`;
    const { pooled } = await rig.tenant('last');
    const room = PER_POOL + (pooled ? 0 : PER_SEGMENT);
    await waitFor(
      'the pods of other tests to be gone',
      () => readdirSync(host.path('/run/romana/leases')).length === 0,
    );
    // Addresses of pods that the agent still knows are not given again.
    await rig.settled();
    const places = Array.from({ length: room + 1 }, (_, n) => ({ n, ns: TestNetns.create(`full${n}`) }));
    t.after(() => Promise.all(places.map(({ ns }) => ns[Symbol.asyncDispose]())));
    const calls = places.map(({ n, ns }) => ({ containerId: `full-${n}`, netns: ns.path, args }));
    const addresses: string[] = [];
    for (const call of calls.slice(0, room)) {
      assert.equal((await host.cni({ command: 'STATUS' })).status, 0);
      const { status, json } = await host.cni({ command: 'ADD', ...call });
      assert.equal(status, 0, JSON.stringify(json));
      addresses.push(...(json.ips ?? []).map(({ address }) => address));
    }
    assert.equal(new Set(addresses).size, 2 * room);
    const before = host.state();
    const last = { command: 'ADD', ...calls[room] } as const;
    // Pods of other segments find room (R16).
    assert.equal((await host.cni({ command: 'STATUS' })).status, 0);
    assert.equal((await host.cni(last)).json.code, CNI_TRY_AGAIN);
    assert.equal(host.state(), before);
    assert.equal((await host.cni({ command: 'DEL', ...calls[0] })).status, 0);
    const again = await waitFor('an address', async () => {
      const answer = await host.cni(last);
      return answer.status === 0 && answer;
    });
    assert.deepEqual(
      again.json.ips?.map(({ address }) => address),
      addresses.slice(0, 2),
    );
    for (const call of calls) await host.cni({ command: 'DEL', ...call });
  });
});

/** The fields of both addresses. */
function fieldsOf(pod: RigPod): Decoded[] {
  return PLANS.map((text, index) => {
    const address = pod.addresses[index];
    assert.ok(address !== undefined);
    const fields = decode(unwrap(parsePlan(text)), address);
    assert.ok(fields !== undefined, `${address} is in the plan`);
    return fields;
  });
}
