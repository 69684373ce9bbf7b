import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { encode, FIRST_ENDPOINT, maxEndpoint, maxPoolEndpoint, parsePlan } from '../../src/addr/plan.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { HOSTS } from '../../src/objects/resources.ts';
import { TestNetns } from '../support/netns.ts';
import { countersOf, received } from '../support/netns-counters.ts';
import { Rig } from '../support/rig.ts';
import { RigFlood } from '../support/rig-flood.ts';

/** Narrow, so that all addresses that a pod can get can be flooded: endpoints 3 to 6, and 3 to 14 of the pool. */
const NARROW_PLANS = ['10.0.0.0/22:4,2,1,3', 'fd00:10::/118:4,2,1,3'];
const TIMES = 200;
/** So many namespaces take turns: a link goes some time after its DEL. */
const NAMESPACES = 12;

void describe('before the first packet', () => {
  let rig: Rig;
  /** Every address that a pod of the isolated namespace can have on the first host. */
  let candidates: readonly string[];
  let floods: readonly RigFlood[];

  before(async () => {
    rig = await Rig.start({ plans: NARROW_PLANS });
    await Promise.all([rig.namespace('r1', { isolated: true }), rig.namespace('senders')]);
    // The first pod of each settles the ids.
    await rig.pod({ namespace: 'r1', name: 'first', labels: { segment: 's' }, host: 1 });
    const senders = [
      await rig.pod({ namespace: 'senders', name: 'near' }),
      await rig.pod({ namespace: 'senders', name: 'far', host: 1 }),
    ];
    const { id } = await rig.tenant('r1');
    const { spec } = (await rig.api.client.get(HOSTS, rig.host(0).name)) as { spec: { id: number } };
    candidates = NARROW_PLANS.flatMap((text) => addressesOf(text, spec.id, id));
    const inUse = new Set<string>(senders.flatMap(({ addresses }) => addresses));
    assert.ok(candidates.length > 0 && !candidates.some((address) => inUse.has(address)));
    floods = senders.map(({ ns }) => RigFlood.start(ns, candidates));
  });
  after(() => rig[Symbol.asyncDispose]());

  const passFlood = async (): Promise<void> => void (await Promise.all(floods.map((flood) => flood.pass())));

  void test(`R1: of ${TIMES} pods made under isolation, with floods to their addresses to come, none gets a packet`, async (t) => {
    const places = Array.from({ length: NAMESPACES }, (_, n) => TestNetns.create(`r1-${n}`));
    t.after(() => Promise.all(places.map((place) => place[Symbol.asyncDispose]())));
    await rig.settled();
    const used = new Set<string>();
    for (let n = 0; n < TIMES; n += 1) {
      const place = places[n % NAMESPACES];
      assert.ok(place !== undefined);
      await waitFor('the last link to go', () => !hasLink(place));
      const earlier = received(place);
      const pod = await rig.newPod({ namespace: 'r1', name: `pod${n}`, labels: { segment: 's' }, sandbox: place });
      await pod.add();
      for (const address of pod.addresses) used.add(address);
      await passFlood();
      await pod.del();
      assert.equal(received(place) - earlier, 0, `pod ${n}, ${pod.addresses.join(' ')}`);
    }
    const flooded = new Set(candidates);
    assert.deepEqual(
      [...used].filter((address) => !flooded.has(address)),
      [],
    );
    assert.ok(used.size > 8, `${used.size} addresses`);
  });

  void test('R1: the same flood arrives, all of it, when isolation is off', async (t) => {
    const place = TestNetns.create('r1-open');
    t.after(() => place[Symbol.asyncDispose]());
    await rig.isolate('r1', 'off');
    await rig.settled();
    const pod = await rig.newPod({ namespace: 'r1', name: 'open', labels: { segment: 's' }, sandbox: place });
    await pod.add();
    const counted = ['Icmp InEchos', 'Tcp InSegs', 'Udp NoPorts', 'Icmp6InEchos', 'Udp6NoPorts'];
    await waitFor('some of each', () => {
      const counters = countersOf(place);
      return counted.every((name) => (counters.get(name) ?? 0) > 0);
    });
    await pod.del();
    await rig.isolate('r1', 'on');
    await rig.settled();
  });

  void test('R1: a veth that is not known passes nothing, to it or from it', async (t) => {
    const host = rig.host(0);
    const { ns, probe } = await rig.sandbox();
    const addresses = [candidates.find((a) => !a.includes(':')), candidates.find((a) => a.includes(':'))];
    await rig.isolate('r1', 'off');
    await rig.settled();
    const wire = async (name: string): Promise<void> => {
      t.after(() => host.ns.try(['ip', 'link', 'delete', 'dev', name]));
      await host.ns.run(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns.name]);
      await host.ns.run(['ip', 'link', 'set', name, 'up']);
      await ns.run(['ip', 'link', 'set', 'eth0', 'up']);
      for (const address of addresses) {
        assert.ok(address !== undefined);
        await ns.run(['ip', 'address', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : [])]);
        await ns.run(['ip', address.includes(':') ? '-6' : '-4', 'route', 'add', 'default', 'dev', 'eth0']);
        await host.ns.run(['ip', 'route', 'add', address, 'dev', name]);
      }
    };
    await wire('roma0123456789a');
    const port = await host.probe.listenUdp(0);
    const sending = host.addresses.map((to) => probe.udp(to, port, { timeoutMs: 60_000, group: 'unknown' }));
    await passFlood();
    assert.equal(received(ns), 0);
    assert.deepEqual([...(await host.probe.received('udp', port))], []);
    await probe.giveUp('unknown');
    assert.deepEqual(await Promise.all(sending), ['timeout', 'timeout']);
    // The same under a name that is not ours is the underlay's business, and would have worked.
    await host.ns.run(['ip', 'link', 'delete', 'dev', 'roma0123456789a']);
    await wire('other');
    await waitFor('the flood to arrive', () => received(ns) > 0);
  });
});

/** The addresses of segment 1 of a tenant and of the shared pool on a host. */
function addressesOf(planText: string, host: number, tenant: number): string[] {
  const plan = unwrap(parsePlan(planText));
  return [
    ...endpoints(maxEndpoint(plan)).map((endpoint) => unwrap(encode(plan, { host, tenant, segment: 1, endpoint }))),
    ...endpoints(maxPoolEndpoint(plan)).map((endpoint) =>
      unwrap(encode(plan, { host, tenant: 0, segment: 0, endpoint })),
    ),
  ];
}

function endpoints(last: number): number[] {
  return Array.from({ length: last - FIRST_ENDPOINT + 1 }, (_, n) => n + FIRST_ENDPOINT);
}

function hasLink(ns: TestNetns): boolean {
  return ns.inside(() => readFileSync('/proc/thread-self/net/dev', 'utf8')).includes('eth0:');
}
