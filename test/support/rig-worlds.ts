import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../../src/lib/result.ts';
import { parseDemoPolicy } from '../../src/objects/demo-policy.ts';
import { parseNamespace } from '../../src/objects/namespace.ts';
import { DEMO_POLICIES, NAMESPACES } from '../../src/objects/resources.ts';
import { evaluate, type Port, type World } from '../../src/policy/evaluate.ts';
import { demoPolicy } from '../../src/policy/from-demo.ts';
import type { Party } from '../../src/policy/party.ts';
import { parseAddress } from '../../src/addr/address.ts';
import type { Connection } from './probe.ts';
import { Rig } from './rig.ts';
import { histories, type Step, TENANTS } from './rig-histories.ts';
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

/** Plays histories on a rig: what passes after each batch has to be what `evaluate` says. */
export class RigWorlds {
  readonly #rig: Rig;
  readonly #pods = new Map<number, RigPod>();
  #policies = new Set<string>();
  #kept: { readonly from: RigPod; readonly to: RigPod; readonly connection: Connection }[] = [];
  #names = 0;
  /** Batches that were looked at, and packets that were sent, for the test's diagnostics. */
  readonly counts = { batches: 0, attempts: 0, open: 0, kept: 0, cut: 0 };

  private constructor(rig: Rig) {
    this.#rig = rig;
  }

  static async start(rig: Rig): Promise<RigWorlds> {
    for (const name of TENANTS) await rig.namespace(name);
    return new RigWorlds(rig);
  }

  /** Plays one history from an empty cluster on. @throws AssertionError that names the packets that differ */
  async play(history: readonly (readonly Step[])[]): Promise<void> {
    await this.#empty();
    for (const batch of history) {
      for (const each of batch) await this.#do(each);
      await this.#rig.settled();
      await this.#look();
      this.counts.batches += 1;
    }
  }

  async #empty(): Promise<void> {
    await Promise.all(this.#kept.splice(0).map(({ connection }) => connection.close()));
    for (const at of this.#pods.keys()) await this.#stop(at);
    for (const key of this.#policies) {
      const [tenant = '', name = ''] = key.split('/');
      await this.#rig.deletePolicy(tenant, name);
    }
    this.#policies = new Set();
    for (const name of TENANTS) await this.#rig.isolate(name, 'off');
  }

  async #do(each: Step): Promise<void> {
    switch (each.do) {
      case 'start':
        return this.#start(each.place, each.namespace, each.labels);
      case 'stop':
        return this.#stop(each.place);
      case 'label': {
        // Exactly these labels: what is not among them goes.
        const gone = { segment: null, app: null };
        return this.#pods.get(each.place)?.label({ ...gone, ...each.labels });
      }
      case 'isolate':
        return this.#rig.isolate(each.namespace, each.value);
      case 'policy':
        this.#policies.add(`${each.namespace}/${each.name}`);
        return this.#rig.policy(each.namespace, each.name, each.spec);
      case 'deletePolicy':
        if (!this.#policies.delete(`${each.namespace}/${each.name}`)) return;
        return this.#rig.deletePolicy(each.namespace, each.name);
      case 'restart': {
        const host = this.#rig.host(each.place % this.#rig.hosts.length);
        await host.stopAgent(each.signal);
        return host.startAgent(this.#rig.api.kubeconfig);
      }
    }
  }

  async #start(at: number, tenant: string, its: Readonly<Record<string, string>>): Promise<void> {
    await this.#stop(at);
    this.#names += 1;
    const host = at % this.#rig.hosts.length;
    this.#pods.set(at, await this.#rig.pod({ namespace: tenant, name: `pod${this.#names}`, labels: its, host }));
  }

  async #stop(at: number): Promise<void> {
    const pod = this.#pods.get(at);
    if (pod === undefined) return;
    this.#pods.delete(at);
    const gone = this.#kept.filter(({ from, to }) => from === pod || to === pod);
    this.#kept = this.#kept.filter((kept) => !gone.includes(kept));
    await Promise.all(gone.map(({ connection }) => connection.close()));
    await this.#rig.remove(pod);
  }

  /** Sends everything from everybody to everybody, over old connections and new ones. */
  async #look(): Promise<void> {
    const world = await this.#world();
    await this.#lookAtKept(world);
    const senders = [...this.#pods.values(), ...this.#rig.hosts];
    const attempts: { attempt: Attempt; from: RigPod | RigHost; want: string; why: string }[] = [];
    for (const from of senders) {
      for (const [at, to] of this.#pods) {
        if (from === to) continue;
        for (const [n, { protocol, port }] of PROBED.entries()) {
          const decision = evaluate(world, partyOf(from), partyOf(to), portOf(protocol, port));
          const want = decision.verdict === 'allow' ? 'open' : 'dropped';
          const why = `${decision.ingress.tier} ${decision.ingress.object}`;
          // The same one in every batch, so that a connection of UDP lives on.
          const sourcePort = FIRST_SOURCE_PORT + at * PROBED.length + n;
          for (const family of FAMILIES)
            attempts.push({ attempt: { from, to, protocol, port, family, sourcePort }, from, want, why });
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
  async #lookAtKept(world: World): Promise<void> {
    const judged = await Promise.all(
      this.#kept.map(async (kept) => {
        const { from, to, connection } = kept;
        const { ingress } = evaluate(world, partyOf(from), partyOf(to), portOf('tcp', 80));
        const want = ingress.verdict === 'allow';
        const works = await connection.exchange({ timeoutMs: want ? ECHO_MS.expected : ECHO_MS.unexpected });
        if (!want) await connection.close();
        const why = `${ingress.tier} ${ingress.object}`;
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
      const sender = [...this.#pods.values()].find((pod) => pod === from);
      if (sender === undefined || protocol !== 'tcp' || port !== 80) continue;
      if (this.#kept.some((kept) => kept.from === sender && kept.to === to)) continue;
      // Of each pair one family, of all together both.
      if (family !== FAMILIES[this.#kept.length % 2]) continue;
      this.#kept.push({
        from: sender,
        to,
        connection: await sender.probe.open(to.address(family), port, { timeoutMs: ECHO_MS.expected }),
      });
    }
  }

  /** What the API server has now, in the words of policy. */
  async #world(): Promise<World> {
    const { client } = this.#rig.api;
    const [namespaces, policies] = await Promise.all([client.list(NAMESPACES), client.list(DEMO_POLICIES)]);
    const parsed = namespaces.items.map((item) => unwrap(parseNamespace(item)));
    return {
      segmentLabel: 'segment',
      namespaces: new Map(parsed.map((each) => [each.meta.name, each])),
      policies: policies.items.map((item) => demoPolicy(unwrap(parseDemoPolicy(item)))),
    };
  }
}

function portOf(protocol: 'tcp' | 'udp', port: number): Port {
  return { protocol: protocol === 'tcp' ? 'TCP' : 'UDP', port };
}

function partyOf(who: RigPod | RigHost): Party {
  if (!('uid' in who)) {
    return { kind: 'host', name: who.name, addresses: who.addresses.map((address) => unwrap(parseAddress(address))) };
  }
  const { namespace: tenant, name, addresses } = who;
  const all = new Map(Object.entries(who.labels));
  return { kind: 'pod', namespace: tenant, name, node: who.host.name, labels: all, known: 'all', addresses, ports: [] };
}

function nameOf(who: RigPod | RigHost): string {
  return 'uid' in who
    ? `${who.namespace}/${who.name} on ${who.host.name} ${JSON.stringify(who.labels)} ${who.addresses[0]}`
    : who.name;
}

/** How random worlds are played. */
export interface RandomWorldsOptions {
  readonly plans?: readonly string[];
  /** For how long new ones are begun, in milliseconds. */
  readonly lastsMs: number;
  /** Whether agents end, or are killed, and start again in them; and whether a failing one is made smaller. */
  readonly long?: boolean;
}

/** A test that plays random histories on a rig of its own; its seed is in the diagnostics. */
export async function playRandomWorlds(
  t: TestContext,
  { plans, lastsMs, long = false }: RandomWorldsOptions,
): Promise<void> {
  const rig = await Rig.start(plans === undefined ? {} : { plans });
  t.after(() => rig[Symbol.asyncDispose]());
  const worlds = await RigWorlds.start(rig);
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const end = performance.now() + lastsMs;
  const property = fc.asyncProperty(histories({ restarts: long }), async (history) => {
    if (performance.now() < end) await worlds.play(history);
  });
  await fc.assert(property, { seed, numRuns: 2_000, endOnFailure: !long });
  t.diagnostic(JSON.stringify(worlds.counts));
}
