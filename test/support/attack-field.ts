import { attachmentMacs } from '../../src/agent/attachment-names.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { PacketSocket } from './packet-socket.ts';
import { frame, ip, udp } from './raw-packets.ts';
import { CONTROL_PORT } from './rig-host.ts';
import { Rig, type RigOptions } from './rig.ts';
import type { RigPod } from './rig-pod.ts';

export const FAMILIES = [4, 6] as const;
/** Where every target lets in whom it knows; the control port is open to everybody. */
export const OPEN_PORT = 80;

/** Frames that carry `mark`, by which they are known where they arrive. */
export type Attack = (mark: Buffer) => Buffer | readonly Buffer[];

/** Who sends frames: a pod, or a machine of the fabric. */
export interface Sender {
  readonly socket: PacketSocket;
  /** The MAC address of whom it sends everything to: its host's, or that of the host it has chosen. */
  readonly nextHop: string;
  /** One of each family, IPv4 first. */
  readonly addresses: readonly string[];
}

const MARK_BYTES = 64;
const NAMESPACE = 'field';
let controls = 0;

/**
 * A rig of two hosts on which somebody attacks. `near` and `far` are isolated and let in `victim` alone, who is on
 * each host; the attacker is on the first. Taps hear every frame that comes to the targets and the victims, and out of the
 * attacker's host.
 */
export class AttackField {
  readonly rig: Rig;
  readonly attacker: RigPod;
  readonly victims: readonly [RigPod, RigPod];
  readonly targets: readonly [near: RigPod, far: RigPod];
  /** Those who are attacked, by the names of their taps. */
  readonly #pods: ReadonlyMap<string, RigPod>;
  readonly #fabric: PacketSocket;
  readonly #senders = new Map<RigPod, Sender>();

  private constructor(rig: Rig, pods: { attacker: RigPod; victims: [RigPod, RigPod]; targets: [RigPod, RigPod] }) {
    this.rig = rig;
    this.attacker = pods.attacker;
    this.victims = pods.victims;
    this.targets = pods.targets;
    const [near, far] = pods.targets;
    const [victim0, victim1] = pods.victims;
    this.#pods = new Map(Object.entries({ near, far, victim0, victim1 }));
    this.#fabric = PacketSocket.open(rig.fabric, pods.attacker.host.name);
  }

  static async start(options: RigOptions = {}): Promise<AttackField> {
    const rig = await Rig.start(options);
    try {
      await rig.namespace(NAMESPACE, { isolated: true });
      const make = (segment: string, host: number): Promise<RigPod> =>
        rig.pod({ namespace: NAMESPACE, name: `${segment}${host}`, labels: { segment }, host });
      const [attacker, ...others] = await Promise.all([
        make('attacker', 0),
        make('victim', 0),
        make('victim', 1),
        make('target', 0),
        make('target', 1),
      ]);
      const from = [{ pods: { segment: 'victim' } }];
      const toPorts = [{ port: CONTROL_PORT, protocol: 'UDP' }];
      await rig.policy(NAMESPACE, 'victims', { podSelector: { segment: 'target' }, allowIncoming: { from } });
      await rig.policy(NAMESPACE, 'control', { podSelector: {}, allowIncoming: { toPorts } });
      await rig.settled();
      const [victim0, victim1, near, far] = others;
      return new AttackField(rig, { attacker, victims: [victim0, victim1], targets: [near, far] });
    } catch (error) {
      await rig[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Those who are attacked: the targets and the victims. */
  get pods(): readonly RigPod[] {
    return [...this.#pods.values()];
  }

  /** A pod that sends frames. */
  sender(pod: RigPod): Sender {
    const known = this.#senders.get(pod);
    if (known !== undefined) return known;
    const { hostMac } = attachmentMacs({ containerId: pod.containerId, ifname: 'eth0' });
    const sender = { socket: PacketSocket.open(pod.ns, 'eth0'), nextHop: hostMac, addresses: pod.addresses };
    this.#senders.set(pod, sender);
    return sender;
  }

  /**
   * Sends all frames of all attacks, and after them allowed packets that pass every tap; what of the attacks has
   * arrived by then, as `tap: name`, sorted. Packets of one sender do not overtake each other.
   */
  async arrived(from: Sender, attacks: ReadonlyMap<string, Attack>): Promise<string[]> {
    const to = [...this.#pods].filter(([, pod]) => this.#senders.get(pod) !== from);
    const taps = new Map(to.map(([name, pod]) => [name, this.sender(pod).socket])).set('fabric', this.#fabric);
    for (const tap of taps.values()) tap.received();
    for (const [name, attack] of attacks) {
      const frames = attack(markOf(name));
      for (const each of Buffer.isBuffer(frames) ? [frames] : frames) from.socket.send(each);
    }
    controls += 1;
    const control = `control ${controls}`;
    for (const [index] of FAMILIES.entries()) {
      for (const [, pod] of to) from.socket.send(allowed(from, pod.addresses[index] ?? '', control, index));
    }
    const heard = new Set<string>();
    for (const [tap, socket] of taps) {
      const expected = FAMILIES.map((_, index) => `${control}.${index}`);
      const passed = new Set<string>();
      await waitFor(`the control packets to arrive at ${tap}`, () => {
        for (const name of socket.received().flatMap(marksOf)) passed.add(name);
        return expected.every((name) => passed.has(name));
      });
      // Answers to earlier packets may quote those.
      for (const name of passed) if (attacks.has(name)) heard.add(`${tap}: ${name}`);
    }
    return [...heard].sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fabric.close();
    for (const { socket } of this.#senders.values()) socket.close();
    await this.rig[Symbol.asyncDispose]();
  }
}

/** A UDP packet in a frame to the sender's next hop. */
export function datagram(
  from: Sender,
  ends: { readonly src: string; readonly dst: string; readonly dport?: number; readonly sport?: number },
  data: Buffer,
): Buffer {
  const { sport = 40_000, dport = OPEN_PORT } = ends;
  return framed(from, ip(ends, udp({ sport, dport }, data)));
}

/** An IP packet in a frame to the sender's next hop. */
export function framed({ socket, nextHop }: Sender, packet: Buffer): Buffer {
  return frame({ src: socket.mac, dst: nextHop }, packet);
}

function allowed(from: Sender, dst: string, name: string, index: number): Buffer {
  return datagram(from, { src: from.addresses[index] ?? '', dst, dport: CONTROL_PORT }, markOf(`${name}.${index}`));
}

/** What names a packet in its data. */
export function markOf(name: string): Buffer {
  const text = `<attack:${name}>`;
  if (text.length > MARK_BYTES) throw new RangeError(`the name "${name}" is too long for a mark`);
  return Buffer.from(text.padEnd(MARK_BYTES));
}

/** The names of the marked packets in a frame, also of those that it quotes. */
export function marksOf(bytes: Buffer): string[] {
  return Array.from(bytes.toString('latin1').matchAll(/<attack:([^>]*)>/g), (match) => match[1] ?? '');
}

/** Sources that are nobody's, in both families. */
export const NEVER_A_POD = {
  4: {
    loopback: '127.0.0.1',
    broadcast: '255.255.255.255',
    group: '224.0.0.1',
    none: '0.0.0.0',
    'link-local': '169.254.1.1',
  },
  6: {
    loopback: '::1',
    'all nodes': 'ff02::1',
    none: '::',
    'link-local': 'fe80::1',
    'IPv4-mapped': '::ffff:a01:1103',
    '6to4': '2002:a01:1103::1',
  },
} as const;
