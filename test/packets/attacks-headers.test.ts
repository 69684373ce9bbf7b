import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Attack, AttackField, framed, OPEN_PORT, type Sender } from '../support/attack-field.ts';
import { bytesOf, ip, padding, PROTOCOL, udp } from '../support/raw-packets.ts';

const PORTS = { sport: 41_000, dport: OPEN_PORT };
/** IPv4 options (RFC 791 3.1): kind, length, pointer, and room for addresses. */
const LOOSE_SOURCE_ROUTE = 131;
const STRICT_SOURCE_ROUTE = 137;
const RECORD_ROUTE = 7;
/** Routing headers of IPv6 (IANA): source route, mobility, RPL, segments. */
const ROUTING_TYPES = [0, 2, 3, 4];

void describe('R31: options and extension headers', () => {
  let field: AttackField;
  let from: Sender;
  before(async () => {
    field = await AttackField.start();
    from = field.sender(field.attacker);
  });
  after(() => field[Symbol.asyncDispose]());

  void test('R31: source routes lead nowhere, whatever the machine allows', async (t) => {
    const { host } = field.attacker;
    const all = (value: number): Promise<string> =>
      host.ns.run(['sysctl', '-qw', `net.ipv4.conf.all.accept_source_route=${value}`]);
    await all(1);
    t.after(() => all(0));
    const attacks = new Map<string, Attack>();
    const src = field.attacker.address(4);
    for (const [index, target] of field.targets.entries()) {
      const dst = target.address(4);
      const via = {
        'own node': host.addresses[0],
        'other node': field.targets[1].host.addresses[0],
        'third pod': field.victims[index === 0 ? 1 : 0].address(4),
      };
      for (const [whom, hop] of Object.entries(via)) {
        for (const kind of [LOOSE_SOURCE_ROUTE, STRICT_SOURCE_ROUTE]) {
          const options = Buffer.concat([Buffer.from([kind, 7, 4]), bytesOf(dst), Buffer.from([0])]);
          attacks.set(`route ${kind} by ${whom} to ${index}`, (mark) =>
            framed(from, ip({ src, dst: hop, options }, udp(PORTS, mark))),
          );
        }
      }
    }
    assert.deepEqual(await field.arrived(from, attacks), []);
  });

  void test('R31: a recorded route does not help a forged source, and harms no other', async () => {
    const victim = field.sender(field.victims[0]);
    const options = Buffer.concat([Buffer.from([RECORD_ROUTE, 7, 4]), Buffer.alloc(4), Buffer.from([0])]);
    const attacks = (sender: Sender): Map<string, Attack> =>
      new Map(
        field.targets.map((target, index) => {
          const ends = { src: field.victims[0].address(4), dst: target.address(4), options };
          return [`recorded ${index}`, (mark): Buffer => framed(sender, ip(ends, udp(PORTS, mark)))];
        }),
      );
    assert.deepEqual(await field.arrived(from, attacks(from)), []);
    assert.deepEqual(await field.arrived(victim, attacks(victim)), [
      'fabric: recorded 1',
      'far: recorded 1',
      'near: recorded 0',
    ]);
  });

  void test('R31: routing and other extension headers of IPv6 hide nothing and lead nowhere', async () => {
    const attacks = new Map<string, Attack>();
    const [src, forged] = [field.attacker.address(6), field.victims[0].address(6)];
    for (const [index, target] of field.targets.entries()) {
      const dst = target.address(6);
      const hops = [
        field.attacker.host.addresses[1],
        field.targets[1].host.addresses[1],
        field.victims[index === 0 ? 1 : 0].address(6),
      ];
      for (const [by, hop] of hops.entries()) {
        for (const type of ROUTING_TYPES) {
          // Type, segments left, last entry and flags of a segment routing header (RFC 8754 2), the list.
          const routing = {
            type: PROTOCOL.routing,
            body: Buffer.concat([Buffer.from([type, 1, 0, 0, 0, 0]), bytesOf(dst)]),
          };
          attacks.set(`routing ${type} by ${by} to ${index}`, (mark) =>
            framed(from, ip({ src, dst: hop, extensions: [routing] }, udp(PORTS, mark))),
          );
        }
      }
      for (const type of [PROTOCOL.hopByHop, PROTOCOL.destination]) {
        for (const [who, as] of Object.entries({ own: src, forged })) {
          attacks.set(`${who} behind ${type} to ${index}`, (mark) =>
            framed(from, ip({ src: as, dst, extensions: [padding(type)] }, udp(PORTS, mark))),
          );
        }
      }
    }
    // By the fabric goes also what the other host drops.
    const heard = await field.arrived(from, attacks);
    assert.deepEqual(
      heard.filter((each) => !each.startsWith('fabric: ')),
      [],
    );
    const victim = field.sender(field.victims[0]);
    const ends = { src: forged, dst: field.targets[0].address(6), extensions: [padding(PROTOCOL.destination)] };
    const honest = new Map([['honest', (mark: Buffer) => framed(victim, ip(ends, udp(PORTS, mark)))]]);
    assert.deepEqual(await field.arrived(victim, honest), ['near: honest']);
  });
});
