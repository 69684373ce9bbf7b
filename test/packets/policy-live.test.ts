import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { BETA_ISOLATION } from '../../src/objects/namespace.ts';
import { RigPolicies } from '../support/rig-policies.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const segment = (value: string): object => ({ matchLabels: { segment: value } });

/** The founding page's policy, with other ports and peers. */
const opens = (port: number, from = 'frontend', to = 'backend'): object => ({
  podSelector: { segment: to },
  allowIncoming: { toPorts: [{ port, protocol: 'TCP' }], from: [{ pods: { segment: from } }] },
});

void describe('policy on running pods', () => {
  let rig: Rig;
  let policies: RigPolicies;
  before(async () => {
    rig = await Rig.start();
    policies = new RigPolicies(rig);
  });
  afterEach(async () => {
    await policies.clear();
    await rig.clear();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** An isolated namespace with a backend on the first host and a frontend on each. */
  async function makeTenant(namespace: string): Promise<[backend: RigPod, near: RigPod, far: RigPod]> {
    await rig.namespace(namespace, { isolated: true });
    return Promise.all([
      rig.pod({ namespace, name: 'backend', labels: { segment: 'backend' } }),
      rig.pod({ namespace, name: 'near', labels: { segment: 'frontend' } }),
      rig.pod({ namespace, name: 'far', labels: { segment: 'frontend' }, host: 1 }),
    ]);
  }

  /** What comes of TCP to ports 80 and 81 of `to` from each of `from`. */
  async function ports(to: RigPod, ...from: RigPod[]): Promise<string[]> {
    const outcomes = from.map((pod) => Promise.all([80, 81].map((port) => rig.reach(pod, to, 'tcp', port))));
    return (await Promise.all(outcomes)).map((both) => both.join(' '));
  }

  void test('R8: a pod that is to end is subject and peer of policies until its sandbox is gone', async () => {
    const [backend, near, far] = await makeTenant('r8');
    const clients = [near, far];
    await Promise.all([backend.label({ app: 'db' }), ...clients.map((pod) => pod.label({ app: 'web' }))]);
    await rig.policy('r8', 'by-bits', opens(80));
    // Who is meant by this one, and whom it selects, agents know by the pods' objects alone.
    await rig.policy('r8', 'by-label', {
      podSelector: { app: 'db' },
      allowIncoming: { toPorts: [{ port: 81, protocol: 'TCP' }], from: [{ pods: { app: 'web' } }] },
    });
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open open', 'open open']);
    const connections = await Promise.all(clients.map((pod) => pod.probe.open(backend.address(4), 81)));

    await Promise.all([backend, near, far].map((pod) => pod.terminate()));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open open', 'open open']);
    assert.deepEqual(await ports(near, backend, far), ['dropped dropped', 'dropped dropped']);
    for (const connection of connections) assert.ok(await connection.exchange());

    // Deleted by force, they run on without any object: of those of other hosts only the bits say who they are.
    await Promise.all([backend, near, far].map((pod) => pod.forget()));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open open', 'open dropped']);
    assert.deepEqual(await ports(near, backend, far), ['dropped dropped', 'dropped dropped']);
  });

  void test('R24: denied is dropped: neither RST nor ICMP come back, whether somebody listens or not', async () => {
    const [backend, near, far] = await makeTenant('r24');
    await rig.policy('r24', 'pol1', opens(80));
    await rig.settled();
    for (const sender of [near, far]) {
      for (const port of [81, 82]) {
        assert.equal(await rig.reach(sender, backend, 'tcp', port), 'dropped');
        assert.equal(await rig.reach(sender, backend, 'udp', port), 'dropped');
      }
      assert.equal(await rig.reach(sender, backend, 'tcp', 80), 'open');
    }
    await rig.isolate('r24', 'off');
    await rig.settled();
    for (const sender of [near, far]) {
      assert.equal(await rig.reach(sender, backend, 'tcp', 82), 'refused', 'by the pod itself, when it is asked');
      assert.equal(await rig.reach(sender, backend, 'udp', 82), 'refused');
    }
  });

  void test("R26: a policy's edited port takes effect on running pods", async () => {
    const [backend, near, far] = await makeTenant('r26-port');
    await rig.policy('r26-port', 'pol1', opens(80));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open dropped', 'open dropped']);
    await rig.policy('r26-port', 'pol1', opens(81));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped open', 'dropped open']);
    await rig.deletePolicy('r26-port', 'pol1');
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
  });

  void test("R26: a running pod's edited segment label counts on its own host and on others", async () => {
    const [backend, near, far] = await makeTenant('r26-segment');
    await rig.policy('r26-segment', 'pol1', opens(80));
    await rig.settled();
    await Promise.all([near, far].map((pod) => pod.label({ segment: 'other' })));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
    await rig.policy('r26-segment', 'pol1', opens(81, 'other'));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped open', 'dropped open']);
    await Promise.all([near, far].map((pod) => pod.label({ segment: null })));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
    await Promise.all([near, far].map((pod) => pod.label({ segment: 'frontend' })));
    await rig.policy('r26-segment', 'pol1', opens(80));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open dropped', 'open dropped']);
    await backend.label({ segment: 'other' });
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
  });

  void test('R26: an edited label that is not in the address counts on its own host and on others', async () => {
    const [backend, near, far] = await makeTenant('r26-label');
    const allowIncoming = { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { app: 'web' } }] };
    await rig.policy('r26-label', 'web', { podSelector: {}, allowIncoming });
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
    await Promise.all([near, far].map((pod) => pod.label({ app: 'web' })));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['open dropped', 'open dropped']);
    await Promise.all([near, far].map((pod) => pod.label({ app: 'db' })));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
  });

  void test("R26: a namespace's edited annotation takes effect on running pods, in both forms", async () => {
    const [backend, near, far] = await makeTenant('r26-isolation');
    const shut = ['dropped dropped', 'dropped dropped'];
    const open = ['open open', 'open open'];
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), shut);
    await rig.isolate('r26-isolation', 'off');
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), open);
    await rig.annotate('r26-isolation', { [BETA_ISOLATION]: '{"ingress":{"isolation":"DefaultDeny"}}' });
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), shut);
    await rig.annotate('r26-isolation', { [BETA_ISOLATION]: null });
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), open);
  });

  void test('R27: two pods on one host are policed like two on different hosts', async () => {
    const namespace = 'r27';
    await rig.namespace(namespace, { isolated: true });
    const roles = ['backend', 'frontend', 'other'];
    const pods = await Promise.all(
      roles.flatMap((segment) =>
        [0, 1].map((host) => rig.pod({ namespace, name: `${segment}${host}`, labels: { segment }, host })),
      ),
    );
    await rig.policy(namespace, 'pol1', opens(80));
    await rig.policy(namespace, 'pol2', opens(81, 'backend', 'other'));
    await rig.settled();
    const expected: Record<string, string> = { 'frontend backend': 'open dropped', 'backend other': 'dropped open' };
    for (const to of pods) {
      const others = pods.filter((pod) => pod !== to);
      const want = others.map(
        (from) => expected[`${from.labels['segment']} ${to.labels['segment']}`] ?? 'dropped dropped',
      );
      assert.deepEqual(
        await ports(to, ...others),
        want,
        `towards ${to.name} from ${others.map(({ name }) => name).join()}`,
      );
    }
  });

  void test('R30: deleting a policy leaves one of the same name in another namespace alone', async () => {
    const [[backend, near, far], [backend2, near2, far2]] = await Promise.all([
      makeTenant('r30-a'),
      makeTenant('r30-b'),
    ]);
    await Promise.all(['r30-a', 'r30-b'].map((namespace) => rig.policy(namespace, 'pol1', opens(80))));
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far, near2, far2), [
      'open dropped',
      'open dropped',
      'dropped dropped',
      'dropped dropped',
    ]);
    await rig.deletePolicy('r30-a', 'pol1');
    await rig.settled();
    assert.deepEqual(await ports(backend, near, far), ['dropped dropped', 'dropped dropped']);
    assert.deepEqual(await ports(backend2, near2, far2), ['open dropped', 'open dropped']);
  });

  /** Pods of the segments "default", "" and none: a server of each on the first host, a client of each on both. */
  async function makeSegments(namespace: string): Promise<{ servers: RigPod[]; clients: RigPod[][] }> {
    await rig.namespace(namespace, { isolated: true });
    const kinds = [{ segment: 'default' }, { segment: '' }, {}];
    const make = (role: string, host: number): Promise<RigPod[]> =>
      Promise.all(kinds.map((labels, n) => rig.pod({ namespace, name: `${role}${host}-${n}`, labels, host })));
    const [servers, near, far] = await Promise.all([make('server', 0), make('client', 0), make('client', 1)]);
    return { servers, clients: [near, far] };
  }

  void test('R38: the segments "default", "" and none are three different things, as peers and as subjects', async () => {
    const namespace = 'r38';
    const { servers, clients } = await makeSegments(namespace);
    const [named, empty, none] = servers;
    assert.ok(named !== undefined && empty !== undefined && none !== undefined);
    const subjects: readonly RigPod[] = [named, empty];
    for (const [index, from] of ['default', ''].entries()) {
      for (const server of subjects) {
        await rig.policy(namespace, 'one', opens(80, from, server.labels['segment']));
        await rig.settled();
        for (const there of clients) {
          const want = there.map((_, n) => (n === index ? 'open dropped' : 'dropped dropped'));
          assert.deepEqual(await ports(server, ...there), want, `from ${JSON.stringify(from)}`);
          for (const other of servers.filter((pod) => pod !== server)) {
            assert.deepEqual(await ports(other, ...there), Array(3).fill('dropped dropped'));
          }
        }
      }
    }
  });

  void test('R38: v1 policies tell the segments "default", "" and none apart, as peers and as subjects', async () => {
    const namespace = 'r38-v1';
    const { servers, clients } = await makeSegments(namespace);
    const none = { matchExpressions: [{ key: 'segment', operator: 'DoesNotExist' }] };
    const either = { matchExpressions: [{ key: 'segment', operator: 'In', values: ['', 'default'] }] };
    const selectors = [segment('default'), segment(''), none];
    for (const [subject, podSelector] of selectors.entries()) {
      for (const [peer, from] of [...selectors, either].entries()) {
        const ingress = [{ from: [{ podSelector: from }], ports: [{ port: 80 }] }];
        await policies.v1(namespace, 'one', { podSelector, ingress });
        await rig.settled();
        const meant = peer === 3 ? [0, 1] : [peer];
        for (const [n, server] of servers.entries()) {
          const want = [0, 1, 2].map((client) =>
            n === subject && meant.includes(client) ? 'open dropped' : 'dropped dropped',
          );
          for (const there of clients) {
            assert.deepEqual(await ports(server, ...there), want, `${JSON.stringify(from)} to ${server.name}`);
          }
        }
      }
    }
  });
});
