import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { systemClock } from '../../src/lib/clock.ts';
import { Rig } from './rig.ts';
import { namedPorts, TENANTS } from './random-policies.ts';
import { histories, isFault, type Step } from './rig-histories.ts';
import type { RigHost } from './rig-host.ts';
import { RigInspector } from './rig-inspector.ts';
import { RigPackets } from './rig-packets.ts';
import type { RigPod } from './rig-pod.ts';
import { RigPolicies } from './rig-policies.ts';

/** Objects of pods that have ended, at most. */
const MAX_FINISHED = 2;
/** The runtime tries again while there is no agent. */
const PATIENCE = { patience: true } as const;

/**
 * Plays histories on a rig: after each batch what passes has to be what `evaluate` says, and the hosts hold exactly
 * what a fresh plan says, nothing more.
 */
class HistoryPlayer {
  readonly #rig: Rig;
  readonly #inspector: RigInspector;
  readonly #pods = new Map<number, RigPod>();
  /** Objects of pods that have ended by themselves. */
  #finished: RigPod[] = [];
  /** Sandboxes of pods whose objects are gone already. */
  #forced: RigPod[] = [];
  #policies = new Set<string>();
  /** Those of Kubernetes' kinds. */
  readonly #others: RigPolicies;
  #names = 0;
  readonly #packets: RigPackets;
  /** What was done, for the test's diagnostics. */
  readonly counts = { steps: 0, faults: 0, batches: 0 };
  /** What comes back in the background, by host. */
  readonly #recovering = new Map<RigHost, Promise<void>>();

  private constructor(rig: Rig, inspector: RigInspector, packets: RigPackets) {
    this.#rig = rig;
    this.#inspector = inspector;
    this.#packets = packets;
    this.#others = new RigPolicies(rig);
  }

  static async start(rig: Rig, inspector: RigInspector): Promise<HistoryPlayer> {
    for (const name of TENANTS) await rig.namespace(name);
    return new HistoryPlayer(rig, inspector, await RigPackets.start(rig));
  }

  /** What was sent, for the test's diagnostics. */
  get packets(): RigPackets['counts'] {
    return this.#packets.counts;
  }

  /** Plays one history from a cluster without pods on. @throws AssertionError that names what differs */
  async play(history: readonly (readonly Step[])[]): Promise<void> {
    await this.#empty();
    for (const batch of history) {
      for (const each of batch) await this.#do(each);
      for (const pod of this.#forced.splice(0)) await this.#rig.remove(pod, PATIENCE);
      await Promise.all(this.#recovering.values());
      await this.#rig.settled();
      await this.#packets.look(this.#pods);
      await this.#inspector.assertWhole([...this.#pods.values()]);
      this.counts.batches += 1;
      this.counts.steps += batch.length;
      this.counts.faults += batch.filter(isFault).length;
    }
  }

  async #empty(): Promise<void> {
    await this.#packets.giveUp(() => true);
    for (const at of this.#pods.keys()) await this.#stop(at);
    for (const pod of this.#finished.splice(0)) await this.#rig.remove(pod);
    for (const key of this.#policies) {
      const [tenant = '', name = ''] = key.split('/');
      await this.#rig.deletePolicy(tenant, name);
    }
    this.#policies = new Set();
    await this.#others.clear();
    for (const name of TENANTS) await this.#rig.isolate(name, 'off');
  }

  async #do(each: Step): Promise<void> {
    switch (each.do) {
      case 'start':
        return this.#start(each.place, each.namespace, each.labels);
      case 'stop':
        return this.#stop(each.place);
      case 'finish':
        return this.#finish(each.place);
      case 'force':
        return this.#force(each.place);
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
      case 'v1':
        return this.#others.v1(each.namespace, each.name, each.spec);
      case 'cluster':
        return this.#others.cluster(each.name, each.spec);
      case 'deleteOther':
        return this.#others.delete(each.name, each.namespace);
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
    await this.#packets.giveUp((pod) => pod.host === host);
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
    for (const pod of this.#finished.filter(({ namespace }) => namespace === name))
      await this.#rig.remove(pod, PATIENCE);
    this.#finished = this.#finished.filter(({ namespace }) => namespace !== name);
    this.#policies = new Set([...this.#policies].filter((key) => !key.startsWith(`${name}/`)));
    this.#others.forget(name);
    await this.#rig.renewNamespace(name);
  }

  async #start(at: number, tenant: string, its: Readonly<Record<string, string>>): Promise<void> {
    await this.#stop(at);
    this.#names += 1;
    const host = at % this.#rig.hosts.length;
    const spec = { namespace: tenant, name: `pod${this.#names}`, labels: its, ports: namedPorts(its), host };
    this.#pods.set(at, await this.#rig.pod(spec, PATIENCE));
  }

  async #stop(at: number): Promise<void> {
    const pod = await this.#take(at);
    if (pod !== undefined) await this.#rig.remove(pod, PATIENCE);
  }

  async #finish(at: number): Promise<void> {
    const pod = await this.#take(at);
    if (pod === undefined) return;
    await pod.report('Succeeded');
    await pod.leave(PATIENCE);
    this.#finished.push(pod);
    const oldest = this.#finished.length > MAX_FINISHED ? this.#finished.shift() : undefined;
    if (oldest !== undefined) await this.#rig.remove(oldest, PATIENCE);
  }

  async #force(at: number): Promise<void> {
    const pod = await this.#take(at);
    if (pod === undefined) return;
    await pod.forget();
    this.#forced.push(pod);
  }

  /** The pod of a place, which is empty then. */
  async #take(at: number): Promise<RigPod | undefined> {
    const pod = this.#pods.get(at);
    this.#pods.delete(at);
    await this.#packets.giveUp((other) => other === pod);
    return pod;
  }
}

/** How random worlds are played. */
export interface RandomHistoriesOptions {
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
export async function playRandomHistories(t: TestContext, options: RandomHistoriesOptions): Promise<void> {
  const { plans, steps, faults, seed = randomInt(2 ** 30) } = options;
  const rig = await Rig.start(plans === undefined ? {} : { plans });
  t.after(() => rig[Symbol.asyncDispose]());
  const inspector = new RigInspector(rig);
  t.after(() => inspector.close());
  const worlds = await HistoryPlayer.start(rig, inspector);
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
  t.diagnostic(`${JSON.stringify({ ...worlds.counts, ...worlds.packets })} in ${Math.round(seconds)} s, ${pace}`);
}
