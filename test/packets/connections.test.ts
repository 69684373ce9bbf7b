import assert from 'node:assert/strict';

import { after, afterEach, before, describe, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { Connection } from '../support/probe.ts';
import { OUTSIDE, Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;
/** A verdict that has turned has to be in force so soon after the change was written. */
const TURNED_MS = 1_000;
/** For an echo that is not expected, in milliseconds. */
const SHORT_MS = 50;
/** All four: two clients, two families. */
const ALL = [true, true, true, true];
/** None of them. */
const NONE = [false, false, false, false];

async function openAll(clients: readonly RigPod[], server: RigPod): Promise<Connection[]> {
  const opening = clients.flatMap((client) => FAMILIES.map((family) => client.probe.open(server.address(family), 80)));
  return Promise.all(opening);
}

/** Which of the connections work. */
const working = (connections: readonly Connection[], timeoutMs = 1_000): Promise<boolean[]> =>
  Promise.all(connections.map((connection) => connection.exchange({ timeoutMs })));

/** Which UDP connections work: always the same ones, by their source port. */
async function flows(clients: readonly RigPod[], server: RigPod, timeoutMs = 1_000): Promise<boolean[]> {
  const options = { timeoutMs, sourcePort: 40_000 };
  const trying = clients.flatMap((client) =>
    FAMILIES.map((family) => client.probe.udp(server.address(family), 80, options)),
  );
  return (await Promise.all(trying)).map((reach) => reach === 'open');
}

void describe('open connections', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start();
  });
  afterEach(() => rig.clear());
  after(() => rig[Symbol.asyncDispose]());

  /** A client on each host in `clients`, and a server on the first host in `servers`. */
  async function makePods(clients: string, servers: string): Promise<[server: RigPod, near: RigPod, far: RigPod]> {
    return Promise.all([
      rig.pod({ namespace: servers, name: 'server' }),
      rig.pod({ namespace: clients, name: 'near' }),
      rig.pod({ namespace: clients, name: 'far', host: 1 }),
    ]);
  }

  void test('R3: replies to connections that were opened before a policy came survive it', async () => {
    await Promise.all([rig.namespace('r3-clients'), rig.namespace('r3-servers')]);
    const [server, near, far] = await makePods('r3-clients', 'r3-servers');
    const connections = await openAll([near, far], server);
    assert.deepEqual(await flows([near, far], server), ALL);
    await rig.policy('r3-clients', 'nobody', { podSelector: {}, allowIncoming: { from: [] } });
    await rig.isolate('r3-clients', 'on');
    await rig.settled();
    assert.equal(await rig.reach(server, near, 'tcp', 80), 'dropped');
    assert.equal(await rig.reach(server, far, 'udp', 80), 'dropped');
    assert.deepEqual(await working(connections), ALL);
    assert.deepEqual(await flows([near, far], server), ALL);
  });

  void test('an open connection ends within 1 s of the change that forbids it and goes on when that is undone; others never stop', async () => {
    await Promise.all([rig.namespace('cut', { isolated: true }), rig.namespace('cut-not')]);
    const [server, ...clients] = await makePods('cut', 'cut');
    const [other, ...others] = await makePods('cut-not', 'cut-not');
    const unconcerned = await openAll(others, other);
    const open = async (): Promise<void> => {
      await rig.policy('cut', 'pol1', { podSelector: {}, allowIncoming: {} });
      await rig.isolate('cut', 'on');
    };
    const port81 = { podSelector: {}, allowIncoming: { toPorts: [{ port: 81, protocol: 'TCP' }] } };
    const changes: Record<string, { allow: () => Promise<void>; forbid: () => Promise<void> }> = {
      'isolation goes on': { allow: () => rig.isolate('cut', 'off'), forbid: () => rig.isolate('cut', 'on') },
      'the policy names another port': { allow: open, forbid: () => rig.policy('cut', 'pol1', port81) },
      'the policy is deleted': { allow: open, forbid: () => rig.deletePolicy('cut', 'pol1') },
    };
    for (const [what, { allow, forbid }] of Object.entries(changes)) {
      await allow();
      await rig.settled();
      const connections = await openAll(clients, server);
      assert.deepEqual(await flows(clients, server), ALL, `before ${what}`);
      await forbid();
      const cut = async (): Promise<boolean> => {
        const left = await Promise.all([working(connections, SHORT_MS), flows(clients, server, SHORT_MS)]);
        return !left.flat().includes(true);
      };
      await waitFor(`the connections to be cut when ${what}`, cut, { timeoutMs: TURNED_MS });
      assert.deepEqual(await working(unconcerned), ALL, what);
      await allow();
      await rig.settled();
      // What TCP has lost meanwhile it sends again, later each time.
      assert.deepEqual(await working(connections, 5_000), ALL, `undone: ${what}`);
      assert.deepEqual(await flows(clients, server), ALL, `undone: ${what}`);
      await Promise.all(connections.map((connection) => connection.close()));
    }
  });

  void test("outside sees the node's address, pods and nodes see the pod's", async () => {
    await rig.namespace('out');
    const [server, near, far] = await makePods('out', 'out');
    const outside = await rig.outside;
    const there = rig.host(1);
    await there.probe.listenUdp(5_353);
    for (const [index, family] of FAMILIES.entries()) {
      const outsideAddress = OUTSIDE[index];
      const nodeAddress = there.addresses[index];
      assert.ok(outsideAddress !== undefined && nodeAddress !== undefined);
      // By the address itself, which would not be the one that answers otherwise.
      const port = await outside.listenUdp(0, outsideAddress);
      assert.equal(await near.probe.udp(outsideAddress, port), 'open');
      assert.deepEqual(sources(await outside.received('udp', port)), [rig.host(0).addresses[index]]);
      assert.equal(await near.probe.udp(nodeAddress, 5_353), 'open');
      assert.equal(await near.probe.udp(far.address(family), 80), 'open');
      assert.equal(await near.probe.udp(server.address(family), 80), 'open');
    }
    assert.deepEqual(sources(await there.probe.received('udp', 5_353)), [...near.addresses]);
    for (const pod of [far, server]) {
      const seen = await pod.probe.received('udp', 80);
      assert.deepEqual(
        near.addresses.map((address) => seen.get(address)),
        [1, 1],
      );
    }
  });

  void test('an agent that is ended and started again cuts nothing, opens nothing and leaves the rules', async () => {
    await rig.namespace('restart', { isolated: true });
    const [server, near, far] = await makePods('restart', 'restart');
    await rig.policy('restart', 'tcp', {
      podSelector: {},
      allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }] },
    });
    await rig.settled();
    const connections = await openAll([near, far], server);
    const holds = async (when: string): Promise<void> => {
      assert.deepEqual(await working(connections), ALL, when);
      assert.equal(await rig.reach(near, server, 'tcp', 80), 'open', when);
      assert.equal(await rig.reach(far, server, 'tcp', 80), 'open', when);
      assert.equal(await rig.reach(near, server, 'tcp', 81), 'dropped', when);
      assert.equal(await rig.reach(far, server, 'udp', 80), 'dropped', when);
    };
    await holds('before');
    const before = rig.host(0).state();
    await rig.host(0).stopAgent('SIGTERM');
    assert.equal(rig.host(0).state(), before);
    await holds('without an agent');
    await rig.host(0).startAgent(rig.api.kubeconfig);
    await rig.settled();
    assert.equal(rig.host(0).state(), before);
    await holds('after');
    await rig.deletePolicy('restart', 'tcp');
    await waitFor('the connections to be cut', async () => !(await working(connections, SHORT_MS)).includes(true), {
      timeoutMs: TURNED_MS,
    });
  });

  void test('a change that came while no agent ran cuts what it forbids when one is back', async () => {
    await rig.namespace('missed');
    const [server, near, far] = await makePods('missed', 'missed');
    const connections = await openAll([near, far], server);
    await rig.host(0).stopAgent('SIGTERM');
    await rig.isolate('missed', 'on');
    assert.deepEqual(await working(connections), ALL, 'the kernel stays as it is');
    await rig.host(0).startAgent(rig.api.kubeconfig);
    await rig.settled();
    assert.deepEqual(await working(connections, SHORT_MS), NONE);
    assert.equal(await rig.reach(near, server, 'tcp', 80), 'dropped');
  });
});

function sources(received: ReadonlyMap<string, number>): string[] {
  return [...received.keys()].sort();
}
