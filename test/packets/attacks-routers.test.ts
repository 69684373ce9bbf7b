import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type Attack, AttackField, framed, OPEN_PORT, type Sender } from '../support/attack-field.ts';
import { countersOf } from '../support/netns-counters.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import {
  bytesOf,
  fragments,
  frame,
  icmp,
  ip,
  ndOption,
  padding,
  type Payload,
  PROTOCOL,
  udp,
} from '../support/raw-packets.ts';

/** ICMPv6 (RFC 4861) and ICMP (RFC 792, RFC 1256). */
const ROUTER_SOLICIT = 133;
const ROUTER_ADVERT = 134;
const REDIRECT = 137;
const REDIRECT4 = 5;
const ROUTER_ADVERT4 = 9;
const ROUTER_SOLICIT4 = 10;
const ALL_NODES = { mac: '33:33:00:00:00:01', ip: 'ff02::1' };
const LINK_LOCAL = 'fe80::aa';
/** What the kernel counts of them: as in /proc/net/snmp6 and snmp. */
const COUNTED = ['Icmp6InRouterSolicits', 'Icmp6InRouterAdvertisements', 'Icmp6InRedirects', 'Icmp InRedirects'];
const ROUTER_LIFETIME_S = 1800;

void describe('R35: what only routers say', () => {
  let field: AttackField;
  let from: Sender;
  before(async () => {
    field = await AttackField.start();
    from = field.sender(field.attacker);
  });
  after(() => field[Symbol.asyncDispose]());

  /** Messages of IPv6 by name; each bears the mark in an option that nobody knows. */
  function messages(mac: string, mark: Buffer): Record<string, Payload> {
    const option = Buffer.concat([ndOption(1, Buffer.from(mac.replaceAll(':', ''), 'hex')), ndOption(253, mark)]);
    const [victim, target] = [field.victims[0].address(6), field.targets[0].address(6)];
    const quoted = Buffer.concat([
      Buffer.alloc(6),
      ip({ src: target, dst: victim }, udp({ sport: OPEN_PORT, dport: 1 }, mark)),
    ]);
    const better = Buffer.concat([bytesOf(LINK_LOCAL), bytesOf(victim), option, ndOption(4, quoted)]);
    return {
      RS: icmp(6, { type: ROUTER_SOLICIT }, option),
      RA: routerAdvert(ROUTER_LIFETIME_S, option),
      'last RA': routerAdvert(0, option),
      redirect: icmp(6, { type: REDIRECT }, better),
    };
  }

  /** Everything that only a router may say, from and to whom, however wrapped up. */
  function attacks(): Map<string, Attack> {
    const { attacker, victims, targets } = field;
    const made = new Map<string, Attack>();
    const from6 = {
      own: attacker.address(6),
      link: LINK_LOCAL,
      victim: victims[0].address(6),
      node: attacker.host.addresses[1],
    };
    const to6 = {
      near: targets[0].address(6),
      far: targets[1].address(6),
      node: attacker.host.addresses[1],
      all: ALL_NODES.ip,
    };
    const mac = from.socket.mac;
    for (const name of Object.keys(messages(mac, Buffer.alloc(0)))) {
      for (const [who, src] of Object.entries(from6)) {
        for (const [whom, dst] of Object.entries(to6)) {
          const nextHop = whom === 'all' ? ALL_NODES.mac : from.nextHop;
          for (const [how, wrap] of Object.entries(wraps)) {
            made.set(`${name} of ${who} to ${whom}, ${how}`, (mark) => {
              const message = messages(mac, mark)[name];
              assert.ok(message !== undefined);
              return wrap({ src, dst }, message).map((packet) => frame({ src: mac, dst: nextHop }, packet));
            });
          }
        }
      }
    }
    // About a connection that conntrack knows, so that it is related to it.
    for (const [index, victim] of victims.entries()) {
      const [about, dst] = [targets[0].address(4), victim.address(4)];
      const header = { src: attacker.address(4), dst };
      for (const type of [REDIRECT4, ROUTER_ADVERT4, ROUTER_SOLICIT4]) {
        made.set(`ICMP ${type} to ${index}`, (mark) => {
          const quoted = ip({ src: dst, dst: about }, udp({ sport: 40_000, dport: OPEN_PORT }, mark));
          return framed(from, ip(header, icmp(4, { type, rest: bytesOf(attacker.address(4)) }, quoted)));
        });
      }
    }
    return made;
  }

  /** What the kernel of the attacker's host has taken in of them. */
  function taken(): number[] {
    const counters = countersOf(field.attacker.host.ns);
    return COUNTED.map((name) => counters.get(name) ?? -1);
  }

  void test('R35: it reaches no pod, not the own host and not the fabric when a pod says it', async () => {
    for (const [index, victim] of field.victims.entries()) {
      assert.equal(
        await victim.probe.udp(field.targets[0].address(4), OPEN_PORT, { sourcePort: 40_000 }),
        'open',
        `${index}`,
      );
    }
    const before = taken();
    assert.ok(before.every((count) => count >= 0));
    assert.deepEqual(await field.arrived(from, attacks()), []);
    assert.deepEqual(taken(), before);
  });

  void test('R35: the node keeps the default route that the router of its own link has announced', async (t) => {
    const { host } = field.attacker;
    const link = /link\/ether (\S+)/.exec(await field.rig.fabric.run(['ip', 'link', 'show', 'br0']))?.[1] ?? '';
    const router = linkLocalOf(link);
    const socket = PacketSocket.open(field.rig.fabric, 'br0');
    t.after(() => socket.close());
    const say = (by: PacketSocket, lifetime: number): void => {
      const header = { src: router, dst: ALL_NODES.ip };
      by.send(frame({ src: by.mac, dst: ALL_NODES.mac }, ip(header, routerAdvert(lifetime, Buffer.alloc(0)))));
    };
    const route = (): Promise<string> => host.ns.run(['ip', '-6', 'route', 'show', 'default', 'proto', 'ra']);
    const wait = (what: string, holds: (text: string) => boolean): Promise<true> =>
      waitFor(what, async () => holds(await route()), { everyMs: 50 }).then(() => true);
    say(socket, ROUTER_LIFETIME_S);
    await wait('the default route', (text) => text.includes(`via ${router} dev eth0`));
    // The pod takes it back in the router's name, and says that it is one itself.
    say(from.socket, 0);
    assert.deepEqual(await field.arrived(from, attacks()), []);
    const now = await route();
    assert.match(now, new RegExp(`^default via ${router} dev eth0 .*\\n$`));
    assert.equal(now.split('\n').length, 2, now);
    // The router itself still can.
    say(socket, 0);
    await wait('the route to go', (text) => text === '');
  });
});

/** How a message may be wrapped so that a filter does not see what it is. */
const wraps: Record<string, (ends: { src: string; dst: string }, message: Payload) => Buffer[]> = {
  plain: (ends, message) => [ip(ends, message)],
  'with few hops': (ends, message) => [ip({ ...ends, hops: 64 }, message)],
  'behind options': (ends, message) => [
    ip({ ...ends, extensions: [padding(PROTOCOL.hopByHop), padding(PROTOCOL.destination)] }, message),
  ],
  'behind a routing header': (ends, message) => [
    ip({ ...ends, extensions: [{ type: PROTOCOL.routing, body: Buffer.alloc(6) }] }, message),
  ],
  'in one fragment': (ends, message) => fragments(ends, message, 1, [{ start: 0, end: 1000 }]),
  'in two': (ends, message) =>
    fragments(ends, message, 2, [
      { start: 0, end: 16 },
      { start: 16, end: 1000 },
    ]),
  // The first holds nothing but options, so that the type is in the second (RFC 7112).
  'behind the first fragment': (ends, message) => hiddenFragments(ends, message),
};

function hiddenFragments(ends: { src: string; dst: string }, message: Payload): Buffer[] {
  const options = Buffer.concat([Buffer.from([message.protocol, 0]), padding(PROTOCOL.destination).body]);
  const whole = { protocol: PROTOCOL.destination, bytes: () => Buffer.concat([options, message.bytes(ends)]) };
  return fragments(ends, whole, 3, [
    { start: 0, end: 8 },
    { start: 8, end: 1000 },
  ]);
}

/** RFC 4861 4.2: no prefixes, the default router for so many seconds. */
function routerAdvert(lifetime: number, options: Buffer): Payload {
  const rest = Buffer.from([64, 0, lifetime >> 8, lifetime & 0xff]);
  return icmp(6, { type: ROUTER_ADVERT, rest }, Buffer.concat([Buffer.alloc(8), options]));
}

/** The address that the kernel makes of a MAC address (RFC 4291 appendix A). */
function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((part) => Number.parseInt(part, 16));
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return `fe80::${words.map((word) => word.toString(16)).join(':')}`;
}
