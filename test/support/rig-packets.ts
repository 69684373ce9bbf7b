import assert from 'node:assert/strict';
import { familyOf, parseAddress } from '../../src/addr/address.ts';
import { unwrap } from '../../src/lib/result.ts';
import { type Host, parseHost } from '../../src/objects/host.ts';
import { parseNamespace } from '../../src/objects/namespace.ts';
import { HOSTS, NAMESPACES } from '../../src/objects/resources.ts';
import { type Decision, evaluate, type Port, type World } from '../../src/policy/evaluate.ts';
import { POLICY_KINDS } from '../../src/policy/policy-kinds.ts';
import type { Party } from '../../src/policy/party.ts';
import type { Connection, Probe } from './probe.ts';
import { OUTSIDE, type Rig } from './rig.ts';
import { CONTROL_PORT, RigHost } from './rig-host.ts';
import { type Attempt, judge, type Receiver } from './rig-judge.ts';
import { PORTS, RigPod } from './rig-pod.ts';

const FAMILIES = [4, 6] as const;
const PROBED: readonly { readonly protocol: 'tcp' | 'udp'; readonly port: number }[] = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'tcp', port: 81 },
  { protocol: 'udp', port: 80 },
];
const FIRST_SOURCE_PORT = 40_000;
/** Connections that are kept open from one batch to the next, at most. */
const MAX_KEPT = 12;
/** Of one sender. */
const MAX_KEPT_EACH = 2;
/** For an echo that is expected, and for one that is not, in milliseconds. */
const ECHO_MS = { expected: 5_000, unexpected: 40 };

/** One end of a connection. */
type End = RigPod | RigHost | Receiver;
/** What is sent, over which family. */
type Sent = Pick<Attempt, 'protocol' | 'port' | 'family'>;

/** Sends packets between the pods of a rig, to hosts and outside, over new connections and open ones: they pass exactly as `evaluate` says. */
export class RigPackets {
  readonly #rig: Rig;
  /** What is neither a pod nor a host. */
  readonly #outside: Receiver;
  #kept: { readonly from: RigPod; readonly to: RigPod; readonly family: 4 | 6; readonly connection: Connection }[] = [];
  /** What was sent, and what came of it. */
  readonly counts = { attempts: 0, open: 0, kept: 0, cut: 0 };

  private constructor(rig: Rig, outside: Probe) {
    this.#rig = rig;
    this.#outside = {
      name: 'outside',
      probe: outside,
      addresses: OUTSIDE,
      address: (family) => OUTSIDE[family === 4 ? 0 : 1],
    };
  }

  /** Makes all hosts and what is outside echo as pods do. */
  static async start(rig: Rig): Promise<RigPackets> {
    const outside = await rig.outside;
    const hosts = rig.hosts.flatMap(({ probe }) =>
      PORTS.flatMap((port) => [probe.listenTcp(port), probe.listenUdp(port)]),
    );
    // By each address itself, which would not be the one that answers otherwise.
    const beyond = OUTSIDE.flatMap((address) =>
      [...PORTS, CONTROL_PORT].map((port) => outside.listenUdp(port, address)),
    );
    await Promise.all([...hosts, ...beyond, ...PORTS.map((port) => outside.listenTcp(port))]);
    return new RigPackets(rig, outside);
  }

  /**
   * Sends everything from everybody to everybody, over old connections and new ones.
   *
   * @param only which families, for a pair that is told by two numbers; both without.
   */
  async look(
    pods: ReadonlyMap<number, RigPod>,
    only: (from: number, to: number) => readonly (4 | 6)[] = () => FAMILIES,
  ): Promise<void> {
    const [world, nodes] = await Promise.all([this.#world(), this.#nodes()]);
    const decide = (from: End, to: End, what: Sent): Decision =>
      evaluate(world, partyOf(from, what.family, nodes), partyOf(to, what.family, nodes), portOf(what));
    await this.#lookAtKept(decide);
    const senders = [...pods.values(), ...this.#rig.hosts];
    const receivers = new Map<number, End>(
      [...[...this.#rig.hosts, this.#outside].entries()].map(([n, end]) => [-n - 1, end]),
    );
    for (const [at, pod] of pods) receivers.set(at, pod);
    const attempts: { attempt: Attempt; from: End; want: string; why: string }[] = [];
    for (const [n, from] of senders.entries()) {
      for (const [at, to] of receivers) {
        if (from === to || (from instanceof RigHost && !(to instanceof RigPod))) continue;
        for (const [service, { protocol, port }] of PROBED.entries()) {
          // The same one in every batch, so that a connection of UDP lives on.
          const sourcePort = FIRST_SOURCE_PORT + at * PROBED.length + service;
          for (const family of only(n, at)) {
            const decision = decide(from, to, { protocol, port, family });
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
    await this.#keepSome(attempts.filter(({ want }) => want === 'open').map(({ attempt }) => attempt));
  }

  /** Connections that were opened earlier go on exactly if they could be opened now. */
  async #lookAtKept(decide: (from: End, to: End, what: Sent) => Decision): Promise<void> {
    const judged = await Promise.all(
      this.#kept.map(async (kept) => {
        const { from, to, family, connection } = kept;
        const decision = decide(from, to, { protocol: 'tcp', port: 80, family });
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

  async #keepSome(open: readonly Attempt[]): Promise<void> {
    for (const { from, to, protocol, port, family } of open) {
      if (this.#kept.length >= MAX_KEPT) return;
      if (!(from instanceof RigPod && to instanceof RigPod) || protocol !== 'tcp' || port !== 80) continue;
      const its = this.#kept.filter((kept) => kept.from === from);
      if (its.length >= MAX_KEPT_EACH || its.some((kept) => kept.to === to)) continue;
      // Of each pair one family, of all together both.
      if (family !== FAMILIES[this.#kept.length % 2]) continue;
      const connection = await from.probe.open(to.address(family), port, { timeoutMs: ECHO_MS.expected });
      this.#kept.push({ from, to, family, connection });
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

  async #nodes(): Promise<ReadonlyMap<string, Host>> {
    const { items } = await this.#rig.api.client.list(HOSTS);
    return new Map(items.map((item) => unwrap(parseHost(item))).map((host) => [host.meta.name, host]));
  }

  /** Closes the connections of pods that go. */
  async giveUp(goes: (pod: RigPod) => boolean): Promise<void> {
    const gone = this.#kept.filter(({ from, to }) => goes(from) || goes(to));
    this.#kept = this.#kept.filter((kept) => !gone.includes(kept));
    await Promise.all(gone.map(({ connection }) => connection.close()));
  }
}

function portOf({ protocol, port }: Sent): Port {
  return { protocol: protocol === 'tcp' ? 'TCP' : 'UDP', port };
}

function whyOf({ egress, ingress }: Decision): string {
  return [egress, ingress]
    .map(({ verdict, tier, object, field }) => `${verdict} by ${tier} ${object} ${field}`)
    .join(', ');
}

function partyOf(who: End, family: 4 | 6, nodes: ReadonlyMap<string, Host>): Party {
  const all = who.addresses.map((address) => unwrap(parseAddress(address)));
  const addresses = all.filter((address) => familyOf(address) === family);
  if (who instanceof RigHost) {
    return { kind: 'host', name: who.name, labels: nodes.get(who.name)?.labels ?? new Map(), addresses };
  }
  if (!(who instanceof RigPod)) return { kind: 'outside', address: unwrap(parseAddress(who.address(family))) };
  const { namespace: tenant, name } = who;
  const labels = new Map(Object.entries(who.labels));
  const ports = who.ports.map((port) => ({
    name: port.name,
    protocol: port.protocol === 'UDP' ? ('UDP' as const) : ('TCP' as const),
    port: port.containerPort,
  }));
  return { kind: 'pod', namespace: tenant, name, node: who.host.name, labels, known: 'all', addresses, ports };
}

function nameOf(who: End): string {
  return who instanceof RigPod
    ? `${who.namespace}/${who.name} on ${who.host.name} ${JSON.stringify(who.labels)} ${who.addresses[0]}`
    : who.name;
}
