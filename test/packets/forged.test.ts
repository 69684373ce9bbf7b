import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Rig } from '../support/rig.ts';
import { type Attempt, judge, passControls } from '../support/rig-judge.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;
const FLOW_PORT = 40_000;
const NAMESPACE = 'r31';

void describe('R31: forged sources', () => {
  let rig: Rig;
  /** Isolated; lets the victim in, by TCP and UDP. */
  let target: RigPod;
  /** Whose address is forged, on the attackers' hosts and on another one. */
  let victims: readonly RigPod[];
  let attackers: readonly RigPod[];

  before(async () => {
    rig = await Rig.start();
    await rig.namespace(NAMESPACE, { isolated: true });
    const victim = { namespace: NAMESPACE, labels: { segment: 'victim' } };
    const attacker = { namespace: NAMESPACE, labels: { segment: 'attacker' } };
    const [first, ...others] = await Promise.all([
      rig.pod({ namespace: NAMESPACE, name: 'target', labels: { segment: 'target' } }),
      rig.pod({ ...victim, name: 'victim0' }),
      rig.pod({ ...victim, name: 'victim1', host: 1 }),
      rig.pod({ ...attacker, name: 'attacker0' }),
      rig.pod({ ...attacker, name: 'attacker1', host: 1 }),
    ]);
    target = first;
    victims = others.slice(0, 2);
    attackers = others.slice(2);
    const allowIncoming = { from: [{ pods: { segment: 'victim' } }] };
    await rig.policy(NAMESPACE, 'victims', { podSelector: { segment: 'target' }, allowIncoming });
    await rig.settled();
    for (const { ns } of attackers) {
      for (const address of victims.flatMap(({ addresses }) => addresses)) {
        await ns.run(['ip', 'address', 'add', address, 'dev', 'lo']);
      }
    }
  });
  after(() => rig[Symbol.asyncDispose]());

  /** How many datagrams the target has had from each of the victims' addresses. */
  async function heard(): Promise<number[]> {
    const seen = await target.probe.received('udp', 80);
    return victims.flatMap((victim) => victim.addresses.map((address) => seen.get(address) ?? 0));
  }

  /** Every attacker sends as every victim. */
  async function forge(): Promise<void> {
    for (const from of attackers) {
      for (const as of victims) {
        const outcomes = new Set(await judge(attempts(from, as)));
        assert.deepEqual(outcomes, new Set(['dropped']), `${from.name} as ${as.name}`);
      }
    }
  }

  const attempts = (from: RigPod, as: RigPod): Attempt[] =>
    FAMILIES.flatMap((family) => [
      { from, to: target, protocol: 'tcp', port: 80, family, source: as.address(family) },
      { from, to: target, protocol: 'udp', port: 80, family, source: as.address(family), sourcePort: FLOW_PORT },
    ]);

  void test("R31: a pod under another pod's address reaches nobody, outside and inside of that pod's open connections", async () => {
    const none = await heard();
    await forge();
    assert.deepEqual(await heard(), none);
    for (const victim of victims) {
      const outcomes = await judge(attempts(victim, victim));
      assert.deepEqual(
        outcomes,
        outcomes.map(() => 'open'),
        victim.name,
      );
    }
    const once = none.map((count) => count + 1);
    assert.deepEqual(await heard(), once);
    // The same 5-tuples as those of the victims' UDP connections, which conntrack knows as established now.
    await forge();
    assert.deepEqual(await heard(), once);
    for (const victim of victims) assert.deepEqual(new Set(await judge(attempts(victim, victim))), new Set(['open']));
  });

  void test('R31: what a pod forges reaches not even its own host', async () => {
    const [attacker] = attackers;
    assert.ok(attacker !== undefined);
    const { probe, addresses } = attacker.host;
    const port = await probe.listenUdp(0);
    const sources = victims.flatMap((victim) => victim.addresses);
    const sending = sources.map((source) => {
      const own = addresses[source.includes(':') ? 1 : 0];
      return attacker.probe.udp(own, port, { source, timeoutMs: 60_000, group: 'forged' });
    });
    await passControls([{ from: attacker, to: attacker.host }]);
    await attacker.probe.giveUp('forged');
    assert.deepEqual(
      await Promise.all(sending),
      sources.map(() => 'timeout'),
    );
    assert.deepEqual([...(await probe.received('udp', port))], []);
  });

  void test("R31: what a machine of the underlay sends under an address of the host's own pods reaches none", async () => {
    const outside = await rig.outside;
    const before = await heard();
    const [victim] = victims;
    assert.ok(victim !== undefined);
    const sending = FAMILIES.map(async (family) => {
      const source = victim.address(family);
      const via = target.host.addresses[family === 4 ? 0 : 1];
      await rig.fabric.run(['ip', 'address', 'add', source, 'dev', 'lo']);
      await rig.fabric.run(['ip', 'route', 'add', target.address(family), 'via', via]);
      return { from: { probe: outside }, to: target, protocol: 'udp', port: 80, family, source } as const;
    });
    const outcomes = await judge(await Promise.all(sending));
    assert.deepEqual(outcomes, ['dropped', 'dropped']);
    assert.deepEqual(await heard(), before);
  });
});
