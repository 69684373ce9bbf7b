import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { DEFAULT_PLANS, decode, type Decoded } from '../../src/addr/plan.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { ID_CLAIMS } from '../../src/objects/id-claim.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { CONTROLLER_LEASE } from '../../src/bin/controller-lease.ts';
import { clusterStatus, observe } from '../../src/cli/status.ts';
import { TestNetns } from '../support/netns.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

/** Of the default plan for IPv4: four bits of tenant and of segment, endpoints 3 to 254. */
const IDS = 15;
const PER_SEGMENT = 252;
const MANY = 40;

describe('the fields of the default plan, full', () => {
  let rig: Rig;
  const bare: TestNetns[] = [];
  before(async () => {
    rig = await Rig.start();
  });
  afterEach(async () => {
    await rig.clear();
    await Promise.all(bare.splice(0).map((ns) => ns[Symbol.asyncDispose]()));
  });
  after(() => rig[Symbol.asyncDispose]());

  /** A pod that nobody talks to. */
  async function silentPod(namespace: string, name: string, segment: string, host = 0): Promise<RigPod> {
    const sandbox = TestNetns.create(name.slice(-8));
    bare.push(sandbox);
    return await rig.pod({ namespace, name, labels: { segment }, host, sandbox });
  }

  /** What the controller has told of a namespace by events. */
  function told(namespace: string): string {
    const about = rig.api.warnings.filter(({ about: { kind, name } }) => kind === 'Namespace' && name === namespace);
    return about.map(({ reason, message }) => `${reason}: ${message}`).join('\n');
  }

  /** The kinds of what has claimed an id. */
  async function claims(): Promise<readonly string[]> {
    const { items } = await rig.api.client.list(ID_CLAIMS);
    return (items as { spec: { kind: string } }[]).map(({ spec }) => spec.kind);
  }

  async function warnings(): Promise<readonly string[]> {
    const seen = await observe(rig.api.client, { clock: systemClock, lease: CONTROLLER_LEASE });
    return clusterStatus(seen)
      .findings.filter(({ severity }) => severity === 'warning')
      .map(({ about, what }) => `${about} ${what}`);
  }

  test('R28: of 40 namespaces 15 have bits in IPv4 and all in IPv6; all work alike; events and status name the others', async () => {
    const names = Array.from({ length: MANY }, (_, n) => `ns-${n}`);
    const spec = { podSelector: { segment: 'server' }, allowIncoming: { from: [{ pods: { segment: 'client' } }] } };
    for (const name of names) {
      await rig.namespace(name, { isolated: true });
      await rig.policy(name, 'pol1', spec);
    }
    const talking = new Set(['ns-0', 'ns-14', 'ns-15', 'ns-39']);
    const clients: RigPod[] = [];
    const servers: RigPod[] = [];
    for (const [n, name] of names.entries()) {
      if (talking.has(name)) {
        clients.push(await rig.pod({ namespace: name, name: 'client', labels: { segment: 'client' }, host: n % 2 }));
        servers.push(await rig.pod({ namespace: name, name: 'server', labels: { segment: 'server' }, host: 0 }));
      } else clients.push(await silentPod(name, 'client', 'client', n % 2));
    }
    const pooled = clients.filter((pod) => fieldsOf(pod)[0].pool === true).map(({ namespace }) => namespace);
    assert.equal(pooled.length, MANY - IDS);
    for (const pod of clients) assert.equal(fieldsOf(pod)[1].pool, undefined, 'IPv6 has bits for all');
    await rig.settled();
    for (const to of servers) {
      for (const from of clients.filter(({ namespace }) => talking.has(namespace))) {
        const want = from.namespace === to.namespace ? 'open' : 'dropped';
        assert.equal(await rig.reach(from, to, 'tcp', 80), want, `${from.namespace} to ${to.namespace}`);
      }
    }
    const shown = await warnings();
    for (const namespace of pooled) {
      assert.match(told(namespace), /^SharedPool: .*15 tenant ids and none is left .*IPv4/);
      assert.ok(
        shown.some((line) => line.startsWith(`Tenant/${namespace} no tenant id is left in IPv4`)),
        shown.join('\n'),
      );
    }
    // What was full and becomes free is used again: the tests that follow find all ids free.
    await rig.clear();
    for (const name of names) await rig.api.client.delete(NAMESPACES, name);
    await waitFor('the tenant ids to be free', async () => !(await claims()).includes('Tenant'), { timeoutMs: 20_000 });
  });

  test('R28: of 40 segments in one namespace 15 have bits in IPv4, and policies tell all of them apart', async () => {
    await rig.namespace('wide', { isolated: true });
    const pods: RigPod[] = [];
    const talking = new Set([0, 13, 14, 15, 39]);
    for (let n = 0; n < MANY; n += 1) {
      const spec = { namespace: 'wide', name: `pod-${n}`, labels: { segment: `s${n}` }, host: n % 2 };
      pods.push(talking.has(n) ? await rig.pod(spec) : await silentPod('wide', `pod-${n}`, `s${n}`, n % 2));
    }
    const pooled = pods.filter((pod) => fieldsOf(pod)[0].pool === true);
    assert.equal(pooled.length, MANY - IDS);
    for (const pod of pods) assert.equal(fieldsOf(pod)[1].pool, undefined);
    const server = await rig.pod({ namespace: 'wide', name: 'server' });
    for (const opened of [13, 14, 39]) {
      const allowIncoming = { from: [{ pods: { segment: `s${opened}` } }] };
      await rig.policy('wide', 'one', { podSelector: {}, allowIncoming });
      await rig.settled();
      for (const n of talking) {
        const from = pods[n] as RigPod;
        assert.equal(
          await rig.reach(from, server, 'tcp', 80),
          n === opened ? 'open' : 'dropped',
          `s${n}, open ${opened}`,
        );
      }
    }
    assert.match(told('wide'), /^SegmentsInSharedPool: .*15 segment ids, 25 more are named/m);
    assert.ok((await warnings()).some((line) => line.startsWith('Tenant/wide no segment id is left for ')));
  });

  test('R28: 300 pods of one segment on one host: 252 in the segment, the others in the pool, each with its own address', async () => {
    await rig.namespace('deep', { isolated: true });
    const count = 300;
    const pods: RigPod[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count - 1) pods.push(await silentPod('deep', `pod-${next++}`, 'web'));
    };
    await Promise.all(Array.from({ length: 4 }, worker));
    const last = await rig.pod({ namespace: 'deep', name: 'last', labels: { segment: 'web' } });
    const [server, stranger] = await Promise.all([
      rig.pod({ namespace: 'deep', name: 'server', host: 1 }),
      rig.pod({ namespace: 'deep', name: 'stranger', labels: { segment: 'other' } }),
    ]);
    const all = [...pods, last];
    const fields = all.map((pod) => fieldsOf(pod)[0]);
    assert.equal(fields.filter(({ pool }) => pool === undefined).length, PER_SEGMENT);
    assert.equal(new Set(all.flatMap(({ addresses }) => addresses)).size, 2 * count);
    assert.equal(fieldsOf(last)[0].pool, true);
    await rig.policy('deep', 'web', { podSelector: {}, allowIncoming: { from: [{ pods: { segment: 'web' } }] } });
    await rig.settled();
    assert.equal(await rig.reach(last, server, 'tcp', 80), 'open');
    assert.equal(await rig.reach(stranger, server, 'tcp', 80), 'dropped');
  });
});

/** The fields of the IPv4 and of the IPv6 address. */
function fieldsOf(pod: RigPod): readonly [Decoded, Decoded] {
  const [four, six] = DEFAULT_PLANS.map((plan, index) => {
    const address = pod.addresses[index];
    return address === undefined ? undefined : decode(plan, address);
  });
  assert.ok(four !== undefined && six !== undefined, `${pod.addresses.join(' ')} is in the plans`);
  return [four, six];
}
