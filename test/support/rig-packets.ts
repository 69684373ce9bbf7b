import assert from 'node:assert/strict';
import { familyOf, parseAddress } from '../../src/addr/address.ts';
import { unwrap } from '../../src/lib/result.ts';
import { parseNamespace } from '../../src/objects/namespace.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { type Decision, evaluate, type Port, type World } from '../../src/policy/evaluate.ts';
import { POLICY_KINDS } from '../../src/policy/policy-kinds.ts';
import type { Party } from '../../src/policy/party.ts';
import type { Connection } from './probe.ts';
import type { Rig } from './rig.ts';
import type { RigHost } from './rig-host.ts';
import { type Attempt, judge } from './rig-judge.ts';
import type { RigPod } from './rig-pod.ts';

const FAMILIES = [4, 6] as const;
const PROBED: readonly { readonly protocol: 'tcp' | 'udp'; readonly port: number }[] = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'tcp', port: 81 },
  { protocol: 'udp', port: 80 },
];
const FIRST_SOURCE_PORT = 40_000;
/** Connections that are kept open from one batch to the next, at most. */
const MAX_KEPT = 12;
/** For an echo that is expected, and for one that is not, in milliseconds. */
const ECHO_MS = { expected: 5_000, unexpected: 40 };

/** Sends packets between the pods of a rig, over new connections and open ones: they pass exactly as `evaluate` says. */
export class RigPackets {
  readonly #rig: Rig;
  #kept: { readonly from: RigPod; readonly to: RigPod; readonly family: 4 | 6; readonly connection: Connection }[] = [];
  /** What was sent, and what came of it. */
  readonly counts = { attempts: 0, open: 0, kept: 0, cut: 0 };

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** Sends everything from everybody to everybody, over old connections and new ones. */
  async look(pods: ReadonlyMap<number, RigPod>): Promise<void> {
    const world = await this.#world();
    await this.#lookAtKept(world);
    const senders = [...pods.values(), ...this.#rig.hosts];
    const attempts: { attempt: Attempt; from: RigPod | RigHost; want: string; why: string }[] = [];
    for (const from of senders) {
      for (const [at, to] of pods) {
        if (from === to) continue;
        for (const [n, { protocol, port }] of PROBED.entries()) {
          // The same one in every batch, so that a connection of UDP lives on.
          const sourcePort = FIRST_SOURCE_PORT + at * PROBED.length + n;
          for (const family of FAMILIES) {
            const decision = decide(world, from, to, { protocol, port, family });
            const want = decision.verdict === 'allow' ? 'open' : 'dropped';
            const attempt = { from, to, protocol, port, family, sourcePort };
            attempts.push({ attempt, from, want, why: whyOf(decision) });
          }
        }
      }
    }
    const outcomes = await judge(attempts.map(({ attempt }) => attempt));
    const wrong = attempts.flatMap(({ attempt: { to, protocol, port, family }, from, want, why }, n) =>
      outcomes[n] === want
        ? []
        : [`${nameOf(from)} -> ${nameOf(to)} ${protocol} ${port} IPv${family}: ${outcomes[n]}, not ${want} (${why})`],
    );
    assert.deepEqual(wrong, []);
    this.counts.attempts += outcomes.length;
    this.counts.open += outcomes.filter((outcome) => outcome === 'open').length;
    await this.#keepSome(
      pods,
      attempts.filter(({ want }) => want === 'open').map(({ attempt }) => attempt),
    );
  }

  /** Connections that were opened earlier go on exactly if they could be opened now. */
  async #lookAtKept(world: World): Promise<void> {
    const judged = await Promise.all(
      this.#kept.map(async (kept) => {
        const { from, to, family, connection } = kept;
        const decision = decide(world, from, to, { protocol: 'tcp', port: 80, family });
        const want = decision.verdict === 'allow';
        const works = await connection.exchange({ timeoutMs: want ? ECHO_MS.expected : ECHO_MS.unexpected });
        if (!want) await connection.close();
        const why = whyOf(decision);
        return {
          kept,
          want,
          wrong: works === want ? '' : `open connection ${nameOf(from)} -> ${nameOf(to)}: works ${works} (${why})`,
        };
      }),
    );
    assert.deepEqual(
      judged.flatMap(({ wrong }) => (wrong === '' ? [] : [wrong])),
      [],
    );
    this.#kept = judged.filter(({ want }) => want).map(({ kept }) => kept);
    this.counts.kept += this.#kept.length;
    this.counts.cut += judged.length - this.#kept.length;
  }

  async #keepSome(pods: ReadonlyMap<number, RigPod>, open: readonly Attempt[]): Promise<void> {
    for (const { from, to, protocol, port, family } of open) {
      if (this.#kept.length >= MAX_KEPT) return;
      const sender = [...pods.values()].find((pod) => pod === from);
      if (sender === undefined || protocol !== 'tcp' || port !== 80) continue;
      if (this.#kept.some((kept) => kept.from === sender && kept.to === to)) continue;
      // Of each pair one family, of all together both.
      if (family !== FAMILIES[this.#kept.length % 2]) continue;
      this.#kept.push({
        from: sender,
        to,
        family,
        connection: await sender.probe.open(to.address(family), port, { timeoutMs: ECHO_MS.expected }),
      });
    }
  }

  /** What the API server has now, in the words of policy. */
  async #world(): Promise<World> {
    const { client } = this.#rig.api;
    const [namespaces, ...policies] = await Promise.all([
      client.list(NAMESPACES),
      ...POLICY_KINDS.map(async ({ resource, parse }) => {
        const { items } = await client.list(resource);
        return items.map((item) => unwrap(parse(item)));
      }),
    ]);
    const parsed = namespaces.items.map((item) => unwrap(parseNamespace(item)));
    return {
      segmentLabel: 'segment',
      namespaces: new Map(parsed.map((each) => [each.meta.name, each])),
      policies: policies.flat(),
    };
  }

  /** Closes the connections of pods that go. */
  async giveUp(goes: (pod: RigPod) => boolean): Promise<void> {
    const gone = this.#kept.filter(({ from, to }) => goes(from) || goes(to));
    this.#kept = this.#kept.filter((kept) => !gone.includes(kept));
    await Promise.all(gone.map(({ connection }) => connection.close()));
  }
}

function portOf(protocol: 'tcp' | 'udp', port: number): Port {
  return { protocol: protocol === 'tcp' ? 'TCP' : 'UDP', port };
}

/** What is said of a connection over one family. */
function decide(
  world: World,
  from: RigPod | RigHost,
  to: RigPod,
  { protocol, port, family }: Pick<Attempt, 'protocol' | 'port' | 'family'>,
): Decision {
  return evaluate(world, partyOf(from, family), partyOf(to, family), portOf(protocol, port));
}

function whyOf({ egress, ingress }: Decision): string {
  return [egress, ingress].map(({ verdict, tier, object }) => `${verdict} by ${tier} ${object}`).join(', ');
}

function partyOf(who: RigPod | RigHost, family: 4 | 6): Party {
  const all = who.addresses.map((address) => unwrap(parseAddress(address)));
  const addresses = all.filter((address) => familyOf(address) === family);
  if (!('uid' in who)) return { kind: 'host', name: who.name, labels: new Map(), addresses };
  const { namespace: tenant, name } = who;
  const labels = new Map(Object.entries(who.labels));
  const ports = who.ports.map((port) => ({ name: port.name, protocol: 'TCP' as const, port: port.containerPort }));
  return { kind: 'pod', namespace: tenant, name, node: who.host.name, labels, known: 'all', addresses, ports };
}

function nameOf(who: RigPod | RigHost): string {
  return 'uid' in who
    ? `${who.namespace}/${who.name} on ${who.host.name} ${JSON.stringify(who.labels)} ${who.addresses[0]}`
    : who.name;
}
