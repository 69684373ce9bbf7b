import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import {
  type Attack,
  AttackField,
  datagram,
  FAMILIES,
  framed,
  NEVER_A_POD,
  OPEN_PORT,
  type Sender,
} from '../support/attack-field.ts';
import type { TestNetns } from '../support/netns.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { fragments, udp } from '../support/raw-packets.ts';
import { OUTSIDE } from '../support/rig.ts';

/** A host number that no Host has. */
const UNASSIGNED = 77;
const MARK_AT = 8;

/** Source addresses of a family by what they are. */
type Sources = (family: 4 | 6) => Record<string, string>;
const nobody: Sources = (family) => NEVER_A_POD[family];
const outside: Sources = (family) => ({ outside: OUTSIDE[family === 4 ? 0 : 1] });

void describe('machines that are no pods', () => {
  let field: AttackField;
  let socket: PacketSocket;
  /** A machine of the fabric, as it gives its packets to each of the hosts. */
  let senders: readonly Sender[];

  before(async () => {
    field = await AttackField.start();
    socket = PacketSocket.open(field.rig.fabric, 'br0');
    senders = await Promise.all(
      field.rig.hosts.map(async ({ ns }) => ({ socket, nextHop: await macOf(ns, 'eth0'), addresses: OUTSIDE })),
    );
  });
  after(async () => {
    socket.close();
    await field[Symbol.asyncDispose]();
  });

  /** Which pods UDP from each source reaches, whole and in fragments, when `by` sends it to both targets. */
  async function reached(by: Sender, sources: Sources): Promise<string[]> {
    const attacks = new Map<string, Attack>();
    for (const family of FAMILIES) {
      for (const [what, src] of Object.entries(sources(family))) {
        for (const [index, target] of field.targets.entries()) {
          const ends = { src, dst: target.address(family) };
          const name = `${what} ${family} to ${index}`;
          const id = 5_000 + attacks.size;
          attacks.set(name, (mark) => datagram(by, ends, mark));
          attacks.set(`${name} in parts`, (mark) => {
            const cuts = [
              { start: 0, end: MARK_AT },
              { start: MARK_AT, end: MARK_AT + mark.length },
            ];
            return fragments(ends, udp({ sport: 1, dport: OPEN_PORT }, mark), id, cuts).map((each) => framed(by, each));
          });
        }
      }
    }
    return (await field.arrived(by, attacks)).filter((each) => !each.startsWith('fabric: '));
  }

  const unassigned: Sources = (family) => ({ 'bits of a victim': onNoHost(field.victims[1].address(family)) });

  /** The victim of a host, and what could be another one. */
  const victimOf =
    (index: 0 | 1): Sources =>
    (family) => {
      const victim = field.victims[index].address(family);
      return { victim, 'no pod': victim.replace(/[^.:]+$/, '99') };
    };

  void test("R32: a machine with a victim's bits, but in the range of no host, gets nowhere", async () => {
    for (const by of senders) assert.deepEqual(await reached(by, unassigned), []);
  });

  void test("R31: a source in a host's own range gets no further than to that host", async () => {
    const [first, second] = senders;
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual(await reached(first, victimOf(0)), []);
    assert.deepEqual(await reached(second, victimOf(1)), []);
    // By way of the first, which routes it: their own host knows better.
    const far = (await reached(first, victimOf(1))).filter((each) => each.startsWith('far: '));
    assert.deepEqual(far, []);
  });

  void test("R31: a source in another host's range is dropped where it comes in by another way than its route goes out", async (t) => {
    const { fabric } = field.rig;
    const { ns } = field.attacker.host;
    await fabric.run(['ip', 'link', 'add', 'side', 'type', 'veth', 'peer', 'name', 'side0', 'netns', ns.name]);
    t.after(() => fabric.try(['ip', 'link', 'delete', 'dev', 'side']));
    await Promise.all([fabric.run(['ip', 'link', 'set', 'side', 'up']), ns.run(['ip', 'link', 'set', 'side0', 'up'])]);
    const side = PacketSocket.open(fabric, 'side');
    t.after(() => side.close());
    const shown = (): Promise<string> => ns.run(['ip', 'link', 'show', 'side0']);
    await waitFor('the side to have a carrier', async () => (await shown()).includes('LOWER_UP'));
    const by = { socket: side, nextHop: await macOf(ns, 'side0'), addresses: OUTSIDE };
    assert.deepEqual(await reached(by, victimOf(1)), []);
  });

  void test('R32: packets that are given to the wrong host are judged as if they had come straight', async () => {
    for (const by of senders) assert.deepEqual(await reached(by, outside), []);
  });

  void test("R31: addresses that are nobody's reach no pod from the fabric either", async () => {
    for (const by of senders) assert.deepEqual(await reached(by, nobody), []);
  });
});

/** The address with the number of a host that is not there in place of host 1's. */
function onNoHost(address: string): string {
  const changed = address.includes(':')
    ? address.replace(/:1(:\w+:\w+:\w+)$/, `:${UNASSIGNED}$1`)
    : address.replace(/^10\.1\./, `10.${UNASSIGNED}.`);
  assert.notEqual(changed, address);
  return changed;
}

async function macOf(ns: TestNetns, ifname: string): Promise<string> {
  const text = await ns.run(['ip', 'link', 'show', ifname]);
  const mac = /link\/ether (\S+)/.exec(text)?.[1];
  assert.ok(mac !== undefined, text);
  return mac;
}
