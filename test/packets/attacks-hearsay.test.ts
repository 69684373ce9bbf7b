import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { type Attack, AttackField, FAMILIES, framed, OPEN_PORT, type Sender } from '../support/attack-field.ts';
import { arp, bytesOf, ETHERTYPE, frame, icmp, ip, ndOption, type Payload, udp } from '../support/raw-packets.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FLOW_PORT = 40_000;
/** Unreachable, source quench, time exceeded, parameter problem; and unreachable, too big, time exceeded, parameter. */
const ERRORS = { 4: [3, 4, 11, 12], 6: [1, 2, 3, 4] } as const;
const NEIGHBOUR_SOLICIT = 135;
const NEIGHBOUR_ADVERT = 136;
const UPLINK = 'eth0';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NOBODY = '00:00:00:00:00:00';
const LINK_LOCAL = 'fe80::aa';
/** More than the kernel's tables of neighbours hold by default (gc_thresh3). */
const STRANGERS = 2_000;

void describe('R31: what a pod says about others', () => {
  let field: AttackField;
  let from: Sender;
  before(async () => {
    field = await AttackField.start();
    from = field.sender(field.attacker);
  });
  after(() => field[Symbol.asyncDispose]());

  /** What the attacker's host and all pods believe; of the host's uplink, what they believe of the attacker. */
  function neighbours(): string[] {
    const { host } = field.attacker;
    const mac = from.socket.mac;
    return [host, ...field.pods].flatMap((place) => {
      using rtnl = Rtnl.open({ netns: place.ns.path });
      const names = new Map(rtnl.links().map(({ index, name }) => [index, name]));
      return rtnl
        .neighbours()
        .map(({ index, address, mac: at }) => ({ name: names.get(index) ?? '', address, mac: at }))
        .filter((known) => known.name !== 'lo' && !/^ff|^224/.test(known.address))
        .filter((known) => place !== host || known.name !== UPLINK || known.mac === mac)
        .map((known) => `${place.name} ${known.name} ${known.address} ${known.mac}`)
        .sort();
    });
  }

  /** What is wrong with a datagram of `sender` to `receiver`, said by `by` to the sender. */
  function complaints(by: RigPod, sender: RigPod, receiver: RigPod): Map<string, Attack> {
    const attacks = new Map<string, Attack>();
    for (const family of FAMILIES) {
      const ends = { src: sender.address(family), dst: receiver.address(family) };
      for (const type of ERRORS[family]) {
        attacks.set(`${type} in IPv${family}`, (mark) => {
          const about = ip(ends, udp({ sport: FLOW_PORT, dport: OPEN_PORT }, mark));
          // Both words of "too big" may hold the MTU.
          const rest = Buffer.from([0, 0, 5, 0]);
          const header = { src: by.address(family), dst: ends.src };
          return framed(field.sender(by), ip(header, icmp(family, { type, rest }, about)));
        });
      }
    }
    return attacks;
  }

  void test("R31: an ICMP error about another pod's connection reaches neither end of it, one about the own does", async () => {
    const { attacker, victims, targets } = field;
    for (const [index, victim] of victims.entries()) {
      for (const target of targets) {
        for (const address of target.addresses) {
          assert.equal(await victim.probe.udp(address, OPEN_PORT, { sourcePort: FLOW_PORT }), 'open');
        }
        assert.deepEqual(await field.arrived(from, complaints(attacker, victim, target)), []);
        // The other end may complain: the victim is isolated, and it is told nevertheless.
        const honest = complaints(target, victim, target);
        const heard = await field.arrived(field.sender(target), honest);
        const expected = [...honest.keys()].map((name) => `victim${index}: ${name}`).sort();
        assert.deepEqual(
          heard.filter((each) => each.startsWith('victim')),
          expected,
        );
      }
    }
  });

  void test('R31: by ARP it changes nobody and takes no room in the tables of its host', async () => {
    const { attacker, victims, targets } = field;
    const { host } = attacker;
    const mac = from.socket.mac;
    const [node, gateway] = [host.addresses[0], attacker.address(4).replace(/\d+\.\d+\.\d+$/, '0.0.1')];
    const other = { node: targets[1].host.addresses[0], near: targets[0].address(4), far: victims[1].address(4) };
    const attacks = new Map<string, Attack>();
    for (const [who, sender] of Object.entries({
      ...other,
      gateway,
      own: attacker.address(4),
      'own node': node,
      none: '0.0.0.0',
    })) {
      for (const [whom, target] of Object.entries({ ...other, gateway, node, self: sender })) {
        for (const op of [1, 2] as const) {
          for (const dst of [BROADCAST, from.nextHop]) {
            const said = arp(op, { mac, ip: sender }, { mac: op === 1 ? NOBODY : mac, ip: target });
            attacks.set(`${who} ${op} to ${whom} by ${dst === BROADCAST}`, (mark) =>
              frame({ src: mac, dst }, Buffer.concat([said, mark]), ETHERTYPE.arp),
            );
          }
        }
      }
    }
    const before = neighbours();
    assert.deepEqual(await field.arrived(from, attacks), []);
    for (let n = 0; n < STRANGERS; n += 1) {
      const stranger = { mac, ip: `172.16.${n >> 8}.${n & 255}` };
      from.socket.send(frame({ src: mac, dst: BROADCAST }, arp(1, stranger, { mac: NOBODY, ip: node }), ETHERTYPE.arp));
    }
    assert.deepEqual(await field.arrived(from, new Map()), []);
    assert.deepEqual(neighbours(), before);
  });

  void test('R31: by neighbour discovery it changes nobody and takes no room in the tables of its host', async () => {
    const { attacker, victims, targets } = field;
    const { host } = attacker;
    const mac = from.socket.mac;
    const macBytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
    const own = attacker.address(6);
    const targeted = { near: targets[0].address(6), far: victims[1].address(6), node: host.addresses[1], own };
    const messages = (about: string, mark: Buffer): Record<string, Payload> => ({
      NS: icmp(
        6,
        { type: NEIGHBOUR_SOLICIT },
        Buffer.concat([bytesOf(about), ndOption(1, macBytes), ndOption(253, mark)]),
      ),
      // Solicited, and to override what is known.
      NA: icmp(
        6,
        { type: NEIGHBOUR_ADVERT, rest: Buffer.from([0x60, 0, 0, 0]) },
        Buffer.concat([bytesOf(about), ndOption(2, macBytes), ndOption(253, mark)]),
      ),
    });
    const attacks = new Map<string, Attack>();
    for (const [who, src] of Object.entries({
      link: LINK_LOCAL,
      none: '::',
      victim: victims[0].address(6),
      node: targets[1].host.addresses[1],
    })) {
      for (const [whom, dst] of Object.entries({ ...targeted, all: 'ff02::1' })) {
        for (const [what, about] of Object.entries(targeted)) {
          for (const kind of ['NS', 'NA']) {
            attacks.set(`${kind} of ${who} to ${whom} on ${what}`, (mark) => {
              const message = messages(about, mark)[kind];
              assert.ok(message !== undefined);
              const nextHop = whom === 'all' ? '33:33:00:00:00:01' : from.nextHop;
              return frame({ src: mac, dst: nextHop }, ip({ src, dst }, message));
            });
          }
        }
      }
    }
    const before = neighbours();
    assert.deepEqual(await field.arrived(from, attacks), []);
    for (let n = 0; n < STRANGERS; n += 1) {
      const { NS } = messages(host.addresses[1], Buffer.alloc(6));
      assert.ok(NS !== undefined);
      const src = `fe80::1:${(n + 1).toString(16)}`;
      from.socket.send(frame({ src: mac, dst: from.nextHop }, ip({ src, dst: host.addresses[1] }, NS)));
      from.socket.send(frame({ src: mac, dst: '33:33:00:00:00:01' }, ip({ src, dst: 'ff02::1' }, NS)));
    }
    assert.deepEqual(await field.arrived(from, new Map()), []);
    assert.deepEqual(neighbours(), before);
  });
});
