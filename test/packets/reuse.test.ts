import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { attachmentMacs } from '../../src/agent/attachment-names.ts';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { datagram, FAMILIES, markOf, marksOf, type Sender } from '../support/attack-field.ts';
import { countersOf } from '../support/netns-counters.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { OUTSIDE, Rig } from '../support/rig.ts';
import { passControls } from '../support/rig-judge.ts';
import type { RigPod } from '../support/rig-pod.ts';

/** No room in segments, and four addresses a host in its pool: who comes next gets what was free last. */
const PLANS = ['10.0.0.0/26:2,1,1,2', 'fd00:10::/122:2,1,1,2'];
const PER_HOST = 4;
const SERVED = 80;
const ASKED_FROM = 40_000;
const HOST_PORT = 8_080;
/** So often everybody sends while the address changes hands, in milliseconds. */
const EVERY_MS = 5;

void describe('R34: a reused address', () => {
  let rig: Rig;
  /** Those who had connections with the old pod. */
  let near: RigPod;
  let far: RigPod;
  const streams = new Map<string, () => void>();
  const sockets: PacketSocket[] = [];

  before(async () => {
    rig = await Rig.start({ plans: PLANS });
    await Promise.all([rig.namespace('open'), rig.namespace('strict', { isolated: true })]);
    near = await rig.pod({ namespace: 'open', name: 'near' });
    far = await rig.pod({ namespace: 'open', name: 'far', host: 1 });
    for (let n = 2; n < PER_HOST; n += 1) await rig.pod({ namespace: 'open', name: `filler${n}` });
  });
  after(async () => {
    for (const socket of sockets) socket.close();
    await rig[Symbol.asyncDispose]();
  });

  function open(pod: Pick<RigPod, 'ns'>, ifname: string): PacketSocket {
    const socket = PacketSocket.open(pod.ns, ifname);
    sockets.push(socket);
    return socket;
  }

  function senderOf(pod: RigPod): Sender {
    const { hostMac } = attachmentMacs({ containerId: pod.containerId, ifname: 'eth0' });
    return { socket: open(pod, 'eth0'), nextHop: hostMac, addresses: pod.addresses };
  }

  /** Host ports to the pod at `address`, as portmap makes them. */
  async function forwardPort(addresses: readonly string[]): Promise<void> {
    const [four, six] = addresses;
    await rig.host(0).ns.run([
      'nft',
      `table inet hostports {
      chain pre {
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr ${rig.host(0).addresses[0]} udp dport ${HOST_PORT} dnat ip to ${four}:${SERVED}
        ip6 daddr ${rig.host(0).addresses[1]} udp dport ${HOST_PORT} dnat ip6 to [${six}]:${SERVED}
      }
    }`,
    ]);
  }

  /** Everybody who talks with `old`: who has asked it, and whom it has asked; by host ports and by masquerade too. */
  async function connect(old: RigPod): Promise<void> {
    const host = rig.host(0);
    const outside = await rig.outside;
    const mac = /link\/ether (\S+)/.exec(await host.ns.run(['ip', 'link', 'show', 'eth0']))?.[1] ?? '';
    const machine = { socket: open({ ns: rig.fabric }, 'br0'), nextHop: mac, addresses: OUTSIDE };
    await forwardPort(old.addresses);
    using conntrack = Conntrack.open({ netns: host.ns.path });
    for (const [index, family] of FAMILIES.entries()) {
      const address = old.address(family);
      const add = (name: string, from: Sender, ends: { dst: string; sport: number; dport: number }): void => {
        const src = from.addresses[index] ?? '';
        const frame = datagram(from, { src, ...ends }, markOf(`${name} ${family}`));
        streams.set(`${name} ${family}`, () => from.socket.send(frame));
      };
      const asks = { dst: address, sport: 5_000, dport: SERVED };
      const answers = { dst: address, sport: SERVED, dport: ASKED_FROM };
      for (const [name, from] of Object.entries({ near: senderOf(near), far: senderOf(far), outside: machine })) {
        add(`${name} asks`, from, asks);
      }
      for (const [name, pod] of Object.entries({ near, far })) {
        const asked = await old.probe.udp(pod.address(family), SERVED, { sourcePort: ASKED_FROM });
        assert.equal(asked, 'open');
        add(`${name} answers`, senderOf(pod), answers);
      }
      const port = await outside.listenUdp(0, OUTSIDE[index]);
      assert.equal(await old.probe.udp(OUTSIDE[index] ?? '', port, { sourcePort: ASKED_FROM }), 'open');
      const entries = conntrack.listByAddress([address]);
      const masked = entries.find(({ reply }) => reply.src === OUTSIDE[index]);
      assert.ok(masked?.reply.dport !== undefined, 'masqueraded');
      add('outside answers', machine, { dst: masked.reply.dst, sport: port, dport: masked.reply.dport });
      add('by host port', machine, { dst: host.addresses[index] ?? '', sport: 5_000, dport: HOST_PORT });
    }
  }

  const sendAll = (): void => {
    for (const send of streams.values()) send();
  };

  /** Waits until all of `names` have been heard by `tap`, while everybody sends. */
  async function heardBy(tap: PacketSocket, names: readonly string[]): Promise<void> {
    const heard = new Set<string>();
    await waitFor(`all streams to arrive`, () => {
      sendAll();
      for (const name of tap.received().flatMap(marksOf)) heard.add(name);
      if (names.every((name) => heard.has(name))) return true;
      throw new Error(`only ${[...heard].join(', ')} of ${names.join(', ')}`);
    });
  }

  void test('R34: the new pod gets nothing of the flows that are under way with its predecessor', async (t) => {
    const old = await rig.pod({ namespace: 'open', name: 'old', sandbox: await rig.sandbox() });
    await connect(old);
    await heardBy(open(old, 'eth0'), [...streams.keys()]);
    const pump = setInterval(sendAll, EVERY_MS);
    t.after(() => clearInterval(pump));

    const next = await rig.newPod({ namespace: 'strict', name: 'next', sandbox: await rig.sandbox() });
    await old.del();
    await waitFor('the address to be free', async () => {
      await next.add();
      return true;
    });
    assert.deepEqual(next.addresses, old.addresses);
    const tap = open(next, 'eth0');
    await next.report();
    await rig.settled();
    sendAll();
    const outside = { probe: await rig.outside };
    await passControls([near, far, outside].map((from) => ({ from, to: next })));
    assert.deepEqual(tap.received().flatMap(marksOf), []);
    assert.deepEqual([...(await next.probe.received('udp', SERVED))], []);
    const counters = countersOf(next.ns);
    assert.deepEqual([counters.get('Udp NoPorts'), counters.get('Udp6NoPorts')], [0, 0]);

    // They have been sending all the time: what policy allows arrives when it does, anew. The masqueraded one is over.
    await rig.isolate('strict', 'off');
    await rig.settled();
    const anew = [...streams.keys()].filter((name) => !name.startsWith('outside answers'));
    await heardBy(tap, anew);
  });
});
