import type { Probe, Reach } from './probe.ts';
import { CONTROL_PORT } from './rig-host.ts';
import { RigPod } from './rig-pod.ts';

/** Who echoes on CONTROL_PORT: a pod, a host, or what is outside. */
export interface Receiver {
  readonly name: string;
  readonly probe: Probe;
  readonly addresses: readonly string[];
  address(family: 4 | 6): string;
}

/** One packet that is to be sent. */
export interface Attempt {
  readonly from: { readonly probe: Probe };
  readonly to: Receiver;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly family: 4 | 6;
  /** Of a Service that leads to `to`, to which it is sent instead. */
  readonly service?: string;
  /** The address to send from, where the sender has several. */
  readonly source?: string;
  /** The port to send from, for UDP: the same again is the same connection. */
  readonly sourcePort?: number;
}

/** What came of an attempt; 'dropped' is nothing at all. */
export type Outcome = Exclude<Reach, 'timeout'> | 'dropped';

/** Longer than any test: attempts end when they are given up. */
const FOREVER_MS = 60_000;
const CONTROL_TIMEOUT_MS = 5_000;
let groups = 0;

/**
 * Makes all attempts at once and says what came of each, without waiting for anything to time out. After them control
 * packets go the same way, by legs on which everything is allowed: a host asks the sender on it, that host asks the
 * receiver's host, and this one the receiver; and then the same the other way round, as an answer comes. Packets do not
 * overtake each other, and who sends or answers is waited for, so that what has had no answer when all that is done was
 * dropped.
 */
export async function judge(attempts: readonly Attempt[]): Promise<Outcome[]> {
  groups += 1;
  const group = `judge ${groups}`;
  const outcomes = attempts.map(async ({ from, to, protocol, port, family, service, source, sourcePort }) => {
    const options = {
      timeoutMs: FOREVER_MS,
      group,
      ...(source === undefined ? {} : { source }),
      ...(sourcePort === undefined ? {} : { sourcePort }),
    };
    const reach = await from.probe[protocol](service ?? to.address(family), port, options);
    return reach === 'timeout' ? 'dropped' : reach;
  });
  try {
    await passControls(attempts);
  } finally {
    await Promise.all([...new Set(attempts.map(({ from }) => from.probe))].map((probe) => probe.giveUp(group)));
  }
  return Promise.all(outcomes);
}

/**
 * Comes back when what the senders were told to send before has arrived or has been dropped, and its answers, too:
 * control packets go along all legs of the attempts, one round trip each, to the receivers and back.
 *
 * @throws Error when one does not arrive
 */
export async function passControls(attempts: readonly Pick<Attempt, 'from' | 'to'>[]): Promise<void> {
  const between = new Map<string, { probe: Probe; next: Receiver }>();
  const pods = { from: new Set<RigPod>(), to: new Set<RigPod>() };
  for (const { from, to } of attempts) {
    if (from instanceof RigPod) pods.from.add(from);
    if (to instanceof RigPod) pods.to.add(to);
    const { probe } = from instanceof RigPod ? from.host : from;
    const next = to instanceof RigPod ? to.host : to;
    between.set(`${ids.of(probe)} ${next.name}`, { probe, next });
  }
  const askHosts = async (): Promise<void> => {
    await Promise.all(Array.from(between.values(), ({ probe, next }) => control(probe, next.addresses)));
  };
  await settle(attempts.map(({ from }) => from.probe));
  await askPods(pods.from);
  await askHosts();
  await askPods(pods.to);
  await settle(attempts.map(({ to }) => to.probe));
  await askPods(pods.to);
  await askHosts();
  await askPods(pods.from);
  await settle(attempts.map(({ from }) => from.probe));
}

async function settle(probes: readonly Probe[]): Promise<void> {
  await Promise.all(Array.from(new Set(probes), (probe) => probe.settle()));
}

async function askPods(pods: ReadonlySet<RigPod>): Promise<void> {
  await Promise.all(Array.from(pods, (pod) => control(pod.host.probe, pod.addresses)));
}

async function control(probe: Probe, addresses: readonly string[]): Promise<void> {
  const send = async (address: string): Promise<void> => {
    const reach = await probe.udp(address, CONTROL_PORT, { timeoutMs: CONTROL_TIMEOUT_MS });
    if (reach !== 'open') throw new Error(`the control packet to ${address} did not arrive: ${reach}`);
  };
  await Promise.all(addresses.map(send));
}

/** Numbers for probes, which have no names. */
const ids = {
  known: new WeakMap<Probe, number>(),
  next: 0,
  of(probe: Probe): number {
    const id = this.known.get(probe) ?? (this.next += 1);
    this.known.set(probe, id);
    return id;
  },
};
