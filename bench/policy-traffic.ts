import { execFileSync } from 'node:child_process';
import type { BenchPod, PolicyRig } from './policy-rig.ts';
import { POLICIES_EACH } from './policy-world.ts';
import { type Measure, PORTS, raceTraffic } from './traffic-race.ts';
import { forgetSoon, nft, PEER } from './traffic-world.ts';

/** Policies in the cluster. */
const COUNTS = [1, 1_000, 10_000] as const;
/** The variant with the most, and the one with the least. */
export const [MOST, LEAST] = [name(10_000), name(1)];
/** Addresses that each policy means, of one family. */
const PEERS_EACH = 10;

interface Variant {
  readonly name: string;
  /** For nft(8). */
  readonly rules: string;
  /** For iptables-restore(8). */
  readonly chains?: string;
}

/** Traffic of the client to pod 0, with policies in the cluster and with other rules; the agent has ended then. */
export async function measurePolicyTraffic(
  rig: PolicyRig,
  at: { client: BenchPod; server: BenchPod; local: readonly BenchPod[]; rounds: number; sliceMs: number },
): Promise<Map<string, Map<Measure, number[]>>> {
  const { ns } = rig.host;
  const { client, server } = at;
  const variants: Variant[] = [
    { name: 'peer', rules: PEER },
    { name: 'linear iptables', rules: '', chains: linear(at) },
  ];
  const add = async (count: number, by: 'labels' | 'segments', called: string): Promise<void> => {
    await rig.policies(count, by);
    variants.push({ name: called, rules: nft(ns, ['list', 'table', 'inet', 'romana']) });
  };
  await add(10_000, 'segments', `${name(10_000)} by segment`);
  for (const count of COUNTS) await add(count, 'labels', name(count));
  await rig.host.stopAgent();
  forgetSoon(ns);
  return raceTraffic({
    client: client.ns,
    servers: [{ path: 'one host', ns: server.ns, address: server.addresses[0] ?? '' }],
    variants,
    put: ({ rules, chains }) => {
      nft(ns, ['-f', '-'], `flush ruleset\n${rules}`);
      if (chains === undefined) return;
      execFileSync('ip', ['netns', 'exec', ns.name, 'iptables-restore'], { input: chains });
    },
    rounds: at.rounds,
    sliceMs: at.sliceMs,
  });
}

function name(policies: number): string {
  return `${policies.toLocaleString('en')} policies`;
}

/**
 * The same as chains that are gone through rule by rule: a pod after the other, then its policies, then their peers. The
 * client is in the middle of all of them.
 */
function linear({ client, server, local }: { client: BenchPod; server: BenchPod; local: readonly BenchPod[] }): string {
  const pods = local.filter((pod) => pod !== server).map(({ addresses }) => addresses[0] ?? '');
  pods.splice(pods.length / 2, 0, server.addresses[0] ?? '');
  const policies = Array.from({ length: POLICIES_EACH }, (_, n) => `policy-${n}`);
  const peers = policies.map((_, n) => Array.from({ length: PEERS_EACH }, (__, i) => `10.7.${n}.${i}`));
  peers[POLICIES_EACH / 2]?.splice(PEERS_EACH / 2, 1, client.addresses[0] ?? '');
  return [
    '*filter',
    ':pod - [0:0]',
    ...policies.map((policy) => `:${policy} - [0:0]`),
    '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ...pods.map((address) => `-A FORWARD -d ${address} -j pod`),
    ...policies.map((policy) => `-A pod -j ${policy}`),
    '-A pod -j DROP',
    ...policies.flatMap((policy, n) =>
      (peers[n] ?? []).flatMap((peer) =>
        Object.values(PORTS).map((port) => `-A ${policy} -s ${peer} -p tcp --dport ${port} -j ACCEPT`),
      ),
    ),
    'COMMIT',
    '*nat',
    '-A POSTROUTING -s 10.0.0.0/8 ! -d 10.0.0.0/8 -j MASQUERADE',
    'COMMIT',
    '',
  ].join('\n');
}
