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
import { ETHERTYPE, frame, icmp, ip, other, type Payload, PROTOCOL, tcp, udp } from '../support/raw-packets.ts';
import { OUTSIDE } from '../support/rig.ts';

const TCP_SYN = 2;
const TCP_RST = 4;
const TCP_ACK_PSH = 24;
const SCTP = 132;
const ECHO = { 4: 8, 6: 128 } as const;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const PORTS = { sport: 41_000, dport: OPEN_PORT };
const FLOW_PORT = 40_000;

/** One payload of each kind, by a name that says which. */
const PAYLOADS: Record<string, (mark: Buffer, family: 4 | 6) => Payload> = {
  udp: (mark) => udp(PORTS, mark),
  syn: (mark) => tcp(PORTS, TCP_SYN, mark),
  sctp: (mark) => other(SCTP, Buffer.concat([Buffer.alloc(12), mark])),
  ping: (mark, family) => icmp(family, { type: ECHO[family] }, mark),
};

void describe('R31: what a pod sends under a source that is not its own', () => {
  let field: AttackField;
  let from: Sender;
  before(async () => {
    field = await AttackField.start();
    from = field.sender(field.attacker);
  });
  after(() => field[Symbol.asyncDispose]());

  /** Addresses that are not the attacker's, by what they are. */
  function sources(family: 4 | 6): Record<string, string> {
    const { attacker, victims, targets } = field;
    const own = attacker.address(family);
    const index = family === 4 ? 0 : 1;
    return {
      'near victim': victims[0].address(family),
      'far victim': victims[1].address(family),
      'the target': targets[0].address(family),
      'no pod yet': own.replace(/[^.:]+$/, '77'),
      'no host': own.replace(family === 4 ? /^10/ : /^fd00/, family === 4 ? '11' : 'fd01'),
      outside: OUTSIDE[index],
      'own node': attacker.host.addresses[index],
      'other node': targets[1].host.addresses[index],
      ...NEVER_A_POD[family],
    };
  }

  /** One attack by every source of both families, on the targets and on a machine outside. */
  function everywhere(make: (ends: { src: string; dst: string }, mark: Buffer, family: 4 | 6) => Buffer) {
    const attacks = new Map<string, Attack>();
    for (const [index, family] of FAMILIES.entries()) {
      const [near, far] = field.targets.map((pod) => pod.address(family));
      for (const [what, src] of Object.entries(sources(family))) {
        for (const [to, dst] of Object.entries({ near, far, out: OUTSIDE[index] })) {
          attacks.set(`${what} ${family} to ${to}`, (mark) => make({ src, dst: dst ?? '' }, mark, family));
        }
      }
    }
    return attacks;
  }

  for (const [kind, payload] of Object.entries(PAYLOADS)) {
    void test(`R31: by ${kind} it arrives nowhere`, async () => {
      const attacks = everywhere((ends, mark, family) => framed(from, ip(ends, payload(mark, family))));
      assert.deepEqual(await field.arrived(from, attacks), []);
    });
  }

  void test('R31: the same packets arrive when they are whose they say', async () => {
    for (const [index, victim] of field.victims.entries()) {
      const sender = field.sender(victim);
      const attacks = new Map<string, Attack>();
      for (const family of FAMILIES) {
        const ends = { src: victim.address(family), dst: field.targets[0].address(family) };
        for (const [kind, payload] of Object.entries(PAYLOADS)) {
          const name = `${kind} ${family} of victim ${index}`;
          attacks.set(name, (mark) => framed(sender, ip(ends, payload(mark, family))));
        }
      }
      const near = (await field.arrived(sender, attacks)).filter((each) => each.startsWith('near: '));
      assert.deepEqual(near, [...attacks.keys()].map((name) => `near: ${name}`).sort());
    }
  });

  void test("R31: in the middle of another pod's open connections it arrives nowhere", async (t) => {
    const [target] = field.targets;
    const attacks = new Map<string, Attack>();
    for (const [index, victim] of field.victims.entries()) {
      for (const family of FAMILIES) {
        const [src, dst] = [victim.address(family), target.address(family)];
        const { socket } = field.sender(target);
        socket.received();
        assert.equal(await victim.probe.udp(dst, OPEN_PORT, { sourcePort: FLOW_PORT }), 'open');
        const connection = await victim.probe.open(dst, OPEN_PORT);
        t.after(() => connection.close());
        assert.ok(await connection.exchange());
        const frames: Buffer[] = [];
        const last = await waitFor('the victim to have the echo', () => {
          frames.push(...socket.received());
          return frames.findLast((each) => each[each.length === 66 ? 47 : 67] === 16);
        });
        // After 14 bytes of Ethernet and the IP header: ports, sequence number, acknowledged.
        const at = 14 + (family === 4 ? 20 : 40);
        const [sport, seq, ack] = [last.readUInt16BE(at), last.readUInt32BE(at + 4), last.readUInt32BE(at + 8)];
        const inside = { sport, dport: OPEN_PORT, seq, ack };
        const name = `of victim ${index} ${family}`;
        attacks.set(`udp ${name}`, (mark) => datagram(from, { src, dst, sport: FLOW_PORT }, mark));
        attacks.set(`tcp ${name}`, (mark) => framed(from, ip({ src, dst }, tcp(inside, TCP_ACK_PSH, mark))));
        attacks.set(`rst ${name}`, (mark) => framed(from, ip({ src, dst }, tcp(inside, TCP_RST, mark))));
      }
    }
    assert.equal(attacks.size, 12);
    assert.deepEqual(await field.arrived(from, attacks), []);
  });

  void test('R31: nor with tags, odd types, other MAC addresses or to all on the link', async () => {
    const [near] = field.targets;
    const { socket, nextHop } = from;
    const attacks = new Map<string, Attack>();
    for (const family of FAMILIES) {
      const [src, dst] = [field.victims[0].address(family), near.address(family)];
      const packet = (mark: Buffer, source = src): Buffer => ip({ src: source, dst }, udp(PORTS, mark));
      const ends = { src: socket.mac, dst: nextHop };
      const direct = { src: socket.mac, dst: field.sender(near).socket.mac };
      const own = field.attacker.address(family);
      attacks.set(`priority tag ${family}`, (mark) => frame({ ...ends, vlan: 0 }, packet(mark)));
      attacks.set(`VLAN 1 ${family}`, (mark) => frame({ ...ends, vlan: 1 }, packet(mark)));
      attacks.set(`own in VLAN 1 ${family}`, (mark) => frame({ ...ends, vlan: 1 }, packet(mark, own)));
      attacks.set(`twice ${family}`, (mark) =>
        frame({ ...ends, vlan: 0 }, Buffer.concat([Buffer.from([0, 0, 0x08, 0x00]), packet(mark)]), ETHERTYPE.vlan),
      );
      attacks.set(`MAC of the victim ${family}`, (mark) =>
        frame({ ...ends, src: field.sender(field.victims[0]).socket.mac }, packet(mark)),
      );
      attacks.set(`to the MAC of the target ${family}`, (mark) => frame(direct, packet(mark, own)));
      attacks.set(`to all ${family}`, (mark) => frame({ ...ends, dst: BROADCAST }, packet(mark, own)));
      attacks.set(`the other family's type ${family}`, (mark) =>
        frame(ends, packet(mark), family === 4 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4),
      );
      for (const type of [0x0026, 0x6558, 0x8847, 0x8863, 0x8864, 0x88a8, 0x88cc]) {
        attacks.set(`type ${type.toString(16)} ${family}`, (mark) => frame(ends, packet(mark), type));
      }
      for (const protocol of [4, 41, 47, PROTOCOL.hopByHop]) {
        const wrapped = (mark: Buffer): Buffer => ip({ src: own, dst }, other(protocol, packet(mark)));
        attacks.set(`inside of protocol ${protocol} ${family}`, (mark) => frame(ends, wrapped(mark)));
      }
    }
    assert.deepEqual(await field.arrived(from, attacks), []);
  });

  void test('R31: nor does it reach the own host, by whatever address of its', async () => {
    const { host } = field.attacker;
    const port = await host.probe.listenUdp(0);
    const attacks = new Map<string, Attack>();
    for (const [index, family] of FAMILIES.entries()) {
      const loopback = NEVER_A_POD[family].loopback;
      for (const [what, src] of Object.entries({ ...sources(family), own: from.addresses[index] ?? '' })) {
        const dsts = what === 'own' ? [loopback] : [host.addresses[index] ?? loopback, loopback];
        for (const dst of dsts) {
          attacks.set(`${what} to ${dst}`, (mark) => datagram(from, { src, dst, dport: port }, mark));
        }
      }
    }
    // As portmap does for host ports.
    const { ns } = host;
    await ns.run(['sh', '-c', 'for f in /proc/sys/net/ipv4/conf/roma*/route_localnet; do echo 1 >$f; done']);
    assert.deepEqual(await field.arrived(from, attacks), []);
    for (const [index, dst] of host.addresses.entries()) {
      from.socket.send(datagram(from, { src: from.addresses[index] ?? dst, dst, dport: port }, Buffer.from('own')));
    }
    const heard = await waitFor('the own packets', async () => {
      const counts = await host.probe.received('udp', port);
      return counts.size >= 2 && counts;
    });
    assert.deepEqual(heard, new Map(from.addresses.map((address) => [address, 1])));
  });
});
