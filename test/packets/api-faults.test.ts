import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, afterEach, before, describe, test } from 'node:test';
import { DEFAULT_PLANS, decode } from '../../src/addr/plan.ts';
import { PAGE_SIZE } from '../../src/kube/list-pages.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import type { Fault } from '../support/misbehaving-proxy.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

/** How long it may take after the API server's return until everything is in force, in milliseconds. */
const CAUGHT_UP_MS = 2_000;
/** How often each agent has to meet with a fault before the test goes on. */
const HITS = 3;
/** What shows an agent that the API server misbehaves: what failed, and questions whether it is there. */
const HIT = /^romana_agent_(?:watch_failures_total\{|api_requests_total\{verb="pulse")/;

const opens = (port: number): object => ({
  podSelector: { segment: 'backend' },
  allowIncoming: { toPorts: [{ port, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
});

/** Where a pod's address says that it is, the endpoint aside. */
function segmentOf(pod: RigPod): object {
  const [plan] = DEFAULT_PLANS;
  const { host, tenant, segment, pool } = (plan && decode(plan, pod.address(4))) ?? assert.fail('no plan has it');
  return { host, tenant, segment, pool };
}

/** Any object with a field that nobody knows, and a policy `pol2` that has one where it may matter. */
function newerSchema({ metadata, spec, ...rest }: Record<string, unknown>): unknown {
  const mine = (metadata as { name?: string }).name === 'pol2';
  return { ...rest, metadata, spec: mine ? { ...(spec as object), onlyOnSundays: true } : spec, from: 'the future' };
}

void describe('an API server that misbehaves', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start({ proxied: true });
  });
  afterEach(async () => {
    await rig.api.proxy.behave();
    await rig.clear();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** A backend on the first host and a frontend on each, in force: port 80 is open. */
  async function makeTenant(namespace: string): Promise<[backend: RigPod, near: RigPod, far: RigPod]> {
    await rig.namespace(namespace, { isolated: true });
    await rig.policy(namespace, 'pol1', opens(80));
    const pods = await Promise.all([
      rig.pod({ namespace, name: 'backend', labels: { segment: 'backend' } }),
      rig.pod({ namespace, name: 'near', labels: { segment: 'frontend' } }),
      rig.pod({ namespace, name: 'far', labels: { segment: 'frontend' }, host: 1 }),
    ]);
    await rig.settled();
    return pods;
  }

  /** What comes of TCP to ports 80 and 81 of `to` from each of `from`. */
  async function ports(to: RigPod, ...from: RigPod[]): Promise<string[]> {
    const outcomes = from.map((pod) => Promise.all([80, 81].map((port) => rig.reach(pod, to, 'tcp', port))));
    return (await Promise.all(outcomes)).map((both) => both.join(' '));
  }

  async function hits(): Promise<number[]> {
    const all = await Promise.all(rig.hosts.map((host) => host.metrics()));
    return all.map((metrics) => [...metrics].reduce((sum, [name, value]) => (HIT.test(name) ? sum + value : sum), 0));
  }

  /** Begins a fault and waits until all agents have met with it. */
  async function begin(fault: () => Promise<unknown>): Promise<void> {
    const earlier = await hits();
    await fault();
    await waitFor('all agents to meet with the fault', async () => {
      const now = await hits();
      return now.every((count, n) => count >= (earlier[n] ?? 0) + HITS);
    });
  }

  /** Ends a fault; everything is in force again in time. */
  async function end(fault: () => Promise<unknown>): Promise<void> {
    const from = performance.now();
    await fault();
    await rig.settled();
    const took = performance.now() - from;
    assert.ok(took <= CAUGHT_UP_MS, `caught up after ${Math.round(took)} ms only:\n${rig.log}`);
  }

  const misbehave = (fault: Fault) => () => rig.api.proxy.misbehave(fault);
  const behave = (): Promise<void> => rig.api.proxy.behave();
  const dropTcp =
    'table inet away { chain in { type filter hook input priority 0; meta l4proto tcp drop; }; chain out { type filter hook output priority 0; meta l4proto tcp drop; }; }';

  const faults: Record<string, [begin: () => Promise<unknown>, end: () => Promise<unknown>]> = {
    'is away': [misbehave({ do: 'refuse' }), behave],
    'is silent, for ever on what was open': [misbehave({ do: 'be silent' }), behave],
    'is cut off, without a word': [
      () => rig.fabric.run(['nft', dropTcp]),
      () => rig.fabric.run(['nft', 'delete table inet away']),
    ],
    'is slow': [misbehave({ do: 'be slow', bytesPerSecond: 100 }), behave],
    'cuts watches': [misbehave({ do: 'cut watches' }), behave],
    'answers half a JSON': [misbehave({ do: 'halve' }), behave],
    'answers watches with 410': [misbehave({ do: 'refuse with', status: 410, only: 'watches' }), behave],
    'answers 429': [misbehave({ do: 'refuse with', status: 429, retryAfter: 3600 }), behave],
    'answers 500': [misbehave({ do: 'refuse with', status: 500 }), behave],
  };

  for (const [n, [what, [beginning, ending]]] of Object.entries(faults).entries()) {
    void test(`while the API server ${what} the kernel stays and known pods restart; 2 s after it all is caught up`, async () => {
      const namespace = `fault${n}`;
      const [backend, near, far] = await makeTenant(namespace);
      const states = rig.hosts.map((host) => host.state());
      await begin(beginning);
      assert.deepEqual(
        rig.hosts.map((host) => host.state()),
        states,
      );
      assert.deepEqual(await ports(backend, near, far), ['open dropped', 'open dropped']);

      const segment = segmentOf(near);
      await near.restart(await rig.sandbox());
      assert.deepEqual(segmentOf(near), segment);
      const late = await rig.newPod({ namespace, name: 'late', labels: { segment: 'fresh' }, host: 1 });
      await Promise.all([rig.policy(namespace, 'pol1', opens(81)), far.label({ segment: 'other' })]);
      assert.deepEqual(await ports(backend, near, far), ['open dropped', 'open dropped']);

      await end(ending);
      assert.deepEqual(await ports(backend, near, far), ['dropped open', 'dropped dropped']);
      await late.add();
      await rig.isolate(namespace, 'off');
      await rig.settled();
      assert.deepEqual(await ports(backend, late), ['open open']);
    });
  }

  void test('an agent that starts while the API server is away leaves the kernel as it is, connects known pods, and catches up', async () => {
    const [backend, near, far] = await makeTenant('restart');
    // Peers that the bits do not name.
    await rig.policy('restart', 'pol2', {
      podSelector: { segment: 'backend' },
      allowIncoming: { toPorts: [{ port: 81, protocol: 'TCP' }], from: [{ pods: { role: 'teller' } }] },
    });
    const teller = await rig.pod({ namespace: 'restart', name: 'teller', labels: { role: 'teller' }, host: 1 });
    const forced = await rig.pod({ namespace: 'restart', name: 'forced', labels: { segment: 'frontend' } });
    await rig.settled();
    const host = rig.host(0);
    const state = host.state();
    await misbehave({ do: 'refuse' })();
    await host.stopAgent('SIGKILL');
    // The API has it no more; its node, which cannot know that yet, restarts it.
    await forced.forget();
    const late = await rig.newPod({ namespace: 'restart', name: 'late' });
    await host.startAgent(rig.api.kubeconfig);
    assert.match(host.log, /takes what was known before this start/);
    const asBefore = async (): Promise<void> =>
      assert.deepEqual(await ports(backend, near, far, teller), ['open dropped', 'open dropped', 'dropped open']);
    await asBefore();
    assert.equal(host.state(), state);

    const segments = [backend, near, forced].map(segmentOf);
    for (const pod of [backend, near, forced]) await pod.restart(await rig.sandbox());
    assert.deepEqual([backend, near, forced].map(segmentOf), segments);
    await asBefore();
    const refused = await late.call('ADD');
    assert.equal(refused.json.code, 11, JSON.stringify(refused.json));

    await rig.policy('restart', 'pol1', opens(81));
    await end(behave);
    assert.deepEqual(await ports(backend, near, far), ['dropped open', 'dropped open']);
    await late.add({ patience: true });
    // Of what is kept nothing is anybody's but root's, and no credentials are in it.
    const kept = host.run(['sh', '-c', 'stat -c %a /run/romana/known && cat /run/romana/known/*']).stdout;
    assert.match(kept, /^700\n/);
    assert.ok(!kept.includes(rig.api.token));
  });

  void test('a new list of everything, in pages, changes nothing where nothing differs', async () => {
    await makeTenant('relist');
    const many = PAGE_SIZE + 1;
    const names = Array.from({ length: many }, (_, n) => `empty${n}`);
    while (names.length > 0) await Promise.all(names.splice(0, 20).map((name) => rig.namespace(name)));
    await rig.settled();
    const relisted = 'romana_agent_listed_objects_total{resource="namespaces"}';
    const pages = 'romana_agent_api_requests_total{verb="list",resource="namespaces"}';
    const CHANGES = /^romana_agent_(?:nft_transactions|nft_errors|route_changes|connections_cut)_total/;
    const read = async (): Promise<{ listed: number; pages: number; changes: [string, number][] }> => {
      const metrics = await rig.host(0).metrics();
      const changes = [...metrics].filter(([name]) => CHANGES.test(name));
      return { listed: metrics.get(relisted) ?? 0, pages: metrics.get(pages) ?? 0, changes };
    };
    const earlier = await read();
    await misbehave({ do: 'refuse with', status: 410, only: 'watches' })();
    await waitFor('a new list', async () => (await read()).listed >= earlier.listed + many);
    await end(behave);
    const now = await read();
    assert.deepEqual(now.changes, earlier.changes);
    const count = (await rig.api.client.list(NAMESPACES)).items.length;
    const lists = (now.listed - earlier.listed) / count;
    assert.equal(now.pages - earlier.pages, lists * Math.ceil(count / PAGE_SIZE));
  });

  void test('R25: an object of a newer schema opens nothing, is counted, and hurts nobody else', async () => {
    const [backend, near, far] = await makeTenant('newer');
    await rig.policy('newer', 'pol2', opens(81));
    await rig.settled();
    const open = ['open open', 'open open'];
    assert.deepEqual(await ports(backend, near, far), open);
    const unreadable = async (): Promise<number | undefined> =>
      (await rig.host(0).metrics()).get('romana_agent_unreadable_objects{resource="networkpolicys"}');
    assert.equal(await unreadable(), 0);
    await misbehave({ do: 'rewrite', object: newerSchema })();
    // A watch goes on from where it ended: only what is written now is shown in its new form.
    await rig.policy('newer', 'pol2', { ...opens(81), podSelector: { segment: 'backend', app: 'none' } });
    await rig.policy('newer', 'pol2', opens(81));
    await waitFor('the object to be met with', async () => (await unreadable()) === 1);
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open dropped', 'open dropped']);
    assert.match(rig.host(0).log, /newer\/pol2.*spec\.onlyOnSundays/);
    await rig.policy('newer', 'pol1', { podSelector: {} });
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
    await misbehave({ do: 'refuse with', status: 410, only: 'watches' })();
    await end(behave);
    await waitFor('a new list', async () => (await unreadable()) === 0);
    assert.deepEqual(await ports(backend, near, far), ['dropped open', 'dropped open']);
  });
});
