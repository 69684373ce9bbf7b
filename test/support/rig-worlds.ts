import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { systemClock } from '../../src/lib/clock.ts';
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
import { histories, isFault, type Step, TENANTS } from './rig-histories.ts';
import type { RigHost } from './rig-host.ts';
import { RigInspector } from './rig-inspector.ts';
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

/** The runtime tries again while there is no agent. */
const PATIENCE = { patience: true } as const;

/**
 * Plays histories on a rig: after each batch what passes has to be what `evaluate` says, and the hosts hold exactly
 * what a fresh plan says, nothing more.
 */
class RigWorlds {
  readonly #rig: Rig;
  readonly #inspector: RigInspector;
  readonly #pods = new Map<number, RigPod>();
  #policies = new Set<string>();
  #kept: { readonly from: RigPod; readonly to: RigPod; readonly connection: Connection }[] = [];
  #names = 0;
  /** Batches that were looked at, and packets that were sent, for the test's diagnostics. */
  readonly counts = { steps: 0, faults: 0, batches: 0, attempts: 0, open: 0, kept: 0, cut: 0 };
  /** What comes back in the background, by host. */
  readonly #recovering = new Map<RigHost, Promise<void>>();

  private constructor(rig: Rig, inspector: RigInspector) {
    this.#rig = rig;
    this.#inspector = inspector;
  }

  static async start(rig: Rig, inspector: RigInspector): Promise<RigWorlds> {
    for (const name of TENANTS) await rig.namespace(name);
    return new RigWorlds(rig, inspector);
  }

  /** Plays one history from a cluster without pods on. @throws AssertionError that names what differs */
  async play(history: readonly (readonly Step[])[]): Promise<void> {
    await this.#empty();
    for (const batch of history) {
      for (const each of batch) await this.#do(each);
      await Promise.all(this.#recovering.values());
      await this.#rig.settled();
      await this.#look();
      await this.#inspector.assertWhole([...this.#pods.values()]);
      this.counts.batches += 1;
      this.counts.steps += batch.length;
      this.counts.faults += batch.filter(isFault).length;
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
      case 'restart':
        return this.#recover(each.place, async (host) => {
          await systemClock.sleep(each.delayMs);
          await host.stopAgent(each.signal);
          await host.startAgent(this.#rig.api.kubeconfig);
        });
      case 'reboot':
        return this.#reboot(each.place);
      case 'controller':
        await this.#rig.api.stopController();
        return this.#rig.api.startController();
      case 'apiServer':
        return this.#apiServer(each.place, each.kill);
      case 'renew':
        return this.#renew(each.namespace);
    }
  }

  /** Begins what takes a host down and up again, when it is up again after the last time. */
  #recover(place: number, act: (host: RigHost) => Promise<void>): void {
    const host = this.#hostAt(place);
    const recovering = (this.#recovering.get(host) ?? Promise.resolve()).then(() => act(host));
    recovering.catch(() => undefined); // whoever waits for all of them hears of it
    this.#recovering.set(host, recovering);
  }

  #hostAt(place: number): RigHost {
    return this.#rig.host(place % this.#rig.hosts.length);
  }

  async #reboot(place: number): Promise<void> {
    const host = this.#hostAt(place);
    await this.#recovering.get(host);
    await this.#giveUp((pod) => pod.host === host);
    await host.reboot();
    this.#recover(place, (its) => its.startAgent(this.#rig.api.kubeconfig));
    await Promise.all([...this.#pods.values()].filter((pod) => pod.host === host).map((pod) => pod.renew()));
  }

  async #apiServer(place: number, kill: boolean): Promise<void> {
    const { api } = this.#rig;
    const host = this.#hostAt(place);
    await this.#recovering.get(host);
    await api.stopServer();
    const answer = await this.#pods.get(place)?.call('DEL');
    assert.equal(answer?.status ?? 0, 0, `DEL without an API server: ${JSON.stringify(answer?.json)}`);
    if (kill) {
      await host.stopAgent('SIGKILL');
      this.#recover(place, () => host.startAgent(api.kubeconfig));
    }
    await api.startServer();
    await this.#stop(place);
  }

  async #renew(name: string): Promise<void> {
    for (const [at, pod] of this.#pods) if (pod.namespace === name) await this.#stop(at);
    this.#policies = new Set([...this.#policies].filter((key) => !key.startsWith(`${name}/`)));
    await this.#rig.renewNamespace(name);
  }

  async #start(at: number, tenant: string, its: Readonly<Record<string, string>>): Promise<void> {
    await this.#stop(at);
    this.#names += 1;
    const host = at % this.#rig.hosts.length;
    const spec = { namespace: tenant, name: `pod${this.#names}`, labels: its, host };
    this.#pods.set(at, await this.#rig.pod(spec, PATIENCE));
  }

  async #stop(at: number): Promise<void> {
    const pod = this.#pods.get(at);
    if (pod === undefined) return;
    this.#pods.delete(at);
    await this.#giveUp((other) => other === pod);
    await this.#rig.remove(pod, PATIENCE);
  }

  /** Closes the connections of pods that go. */
  async #giveUp(goes: (pod: RigPod) => boolean): Promise<void> {
    const gone = this.#kept.filter(({ from, to }) => goes(from) || goes(to));
    this.#kept = this.#kept.filter((kept) => !gone.includes(kept));
    await Promise.all(gone.map(({ connection }) => connection.close()));
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
  /** The default ones without. */
  readonly plans?: readonly string[];
  /** So many steps at least: histories are played to their ends. */
  readonly steps: number;
  /** Whether agents, controller, API server and hosts end and come back among the steps. */
  readonly faults: boolean;
  /** Of the first history; each later one has the next number. Chance without. */
  readonly seed?: number | undefined;
}

/**
 * A test that plays random histories on a rig of its own. One that fails is told with its seed, by which it alone can
 * be played again.
 */
export async function playRandomWorlds(t: TestContext, options: RandomWorldsOptions): Promise<void> {
  const { plans, steps, faults, seed = randomInt(2 ** 30) } = options;
  const rig = await Rig.start(plans === undefined ? {} : { plans });
  t.after(() => rig[Symbol.asyncDispose]());
  const inspector = new RigInspector(rig);
  t.after(() => inspector.close());
  const worlds = await RigWorlds.start(rig, inspector);
  const begin = performance.now();
  t.diagnostic(`seed ${seed}`);
  for (let n = 0; worlds.counts.steps < steps; n += 1) {
    const [history = []] = fc.sample(fc.noBias(histories({ faults })), { seed: seed + n, numRuns: 1 });
    const done = worlds.counts.batches;
    try {
      await worlds.play(history);
    } catch (cause) {
      const played = history.slice(0, worlds.counts.batches - done + 1).map((batch) => JSON.stringify(batch));
      throw new Error(`history of seed ${seed + n}:\n${played.join('\n')}\n${String(cause)}\n${rig.log}`, { cause });
    }
  }
  const seconds = (performance.now() - begin) / 1_000;
  const pace = `${Math.round((1_000 * seconds) / worlds.counts.steps)} ms a step`;
  t.diagnostic(`${JSON.stringify(worlds.counts)} in ${Math.round(seconds)} s, ${pace}`);
}
