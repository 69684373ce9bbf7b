import { execFileSync } from 'node:child_process';
import { Rig } from '../test/support/rig.ts';
import { TestNetns } from '../test/support/netns.ts';
import type { RigPod } from '../test/support/rig-pod.ts';
import { PORTS } from './traffic-race.ts';

/** What is in the way of packets: on each host the text of its tables for nft(8), none for a bare routed pair. */
export interface Variant {
  readonly name: string;
  readonly rules: readonly string[];
}

/** Two hosts, a client on the first and a server on each; no agent runs any more, so that rules stay as they are put. */
export interface TrafficWorld {
  readonly client: RigPod;
  readonly near: RigPod;
  readonly far: RigPod;
  readonly variants: readonly Variant[];
  /** Puts the rules of a variant in the place of those before. */
  put(variant: Variant): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const NAMESPACE = 'bench';
/** Segments that the policies name, beside the one that is let in. */
const OTHERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'] as const;
const AT_ONCE = 50;
/** A table with thousands of policies takes some megabytes. */
const MAX_TEXT = 64 * 2 ** 20;
/** What any stateful network has at the least; conntrack looks at each packet, and NAT at each connection. */
export const PEER = `table inet peer {
  chain forward { type filter hook forward priority filter; ct state established,related accept; }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.0.0/8 ip daddr != 10.0.0.0/8 masquerade
  }
}
`;

/** Makes the world; the agents write the rules for each number of policies, then they end. */
export async function makeWorld(policyCounts: readonly number[]): Promise<TrafficWorld> {
  await using undo = new AsyncDisposableStack();
  const rig = undo.use(await Rig.start());
  await rig.namespace(NAMESPACE);
  const pod = (name: string, segment: string, host: number): Promise<RigPod> => {
    const sandbox = undo.use(TestNetns.create(name));
    return rig.pod({ namespace: NAMESPACE, name, labels: { segment }, host, sandbox });
  };
  const client = await pod('client', 'frontend', 0);
  const near = await pod('near', 'backend', 0);
  const far = await pod('far', 'backend', 1);
  const variants = [
    { name: 'bare', rules: rig.hosts.map(() => '') },
    { name: 'peer', rules: rig.hosts.map(() => PEER) },
  ];
  let made = 0;
  for (const count of policyCounts) {
    if (count > 0) await rig.isolate(NAMESPACE, 'on');
    while (made < count) made += await makePolicies(rig, made, Math.min(count, made + AT_ONCE));
    await rig.settled();
    const rules = rig.hosts.map(({ ns }) => nft(ns, ['list', 'table', 'inet', 'romana']));
    variants.push({ name: `${count} policies`, rules });
  }
  await Promise.all(rig.hosts.map((host) => host.stopAgent()));
  for (const { ns } of rig.hosts) forgetSoon(ns);
  const all = undo.move();
  return {
    client,
    near,
    far,
    variants,
    put: ({ rules }) => {
      for (const [n, { ns }] of rig.hosts.entries()) nft(ns, ['-f', '-'], `flush ruleset\n${rules[n] ?? ''}`);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Makes the policies from one number to another. The first opens what is measured. @returns how many */
async function makePolicies(rig: Rig, from: number, to: number): Promise<number> {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i);
  await Promise.all(
    numbers.map(async (n) => {
      const ports = n === 0 ? Object.values(PORTS) : [10_000 + 2 * n];
      const segment = n === 0 ? 'frontend' : OTHERS[n % OTHERS.length];
      await rig.policy(NAMESPACE, `policy-${n}`, {
        podSelector: { segment: 'backend' },
        allowIncoming: {
          toPorts: ports.map((port) => ({ port, protocol: 'TCP' })),
          from: [{ pods: { segment } }],
        },
      });
    }),
  );
  return numbers.length;
}

/** Ended connections stay in conntrack for two minutes otherwise, and a bench of them fills it. */
export function forgetSoon(ns: TestNetns): void {
  const tcp = ['time_wait', 'close', 'last_ack', 'close_wait', 'fin_wait'].map((state) => `tcp_timeout_${state}`);
  for (const timeout of [...tcp, 'udp_timeout']) {
    const name = `net.netfilter.nf_conntrack_${timeout}`;
    execFileSync('ip', ['netns', 'exec', ns.name, 'sysctl', '-qw', `${name}=1`]);
  }
}

/** Runs nft(8) in a namespace. @returns what it printed */
export function nft(ns: TestNetns, args: readonly string[], input = ''): string {
  return execFileSync('ip', ['netns', 'exec', ns.name, 'nft', ...args], {
    encoding: 'utf8',
    input,
    maxBuffer: MAX_TEXT,
  });
}
