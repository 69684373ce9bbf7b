import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { ALPHA_ISOLATION, BETA_ISOLATION } from '../../src/objects/namespace.ts';
import { NAMESPACES, NODES, PODS } from '../../src/objects/resources.ts';
import { ANY_SPECS, BITS_SPECS, namedPorts, TENANTS, type Tenant } from './random-policies.ts';
import {
  edited,
  inSegment,
  type NamespaceState,
  type PodState,
  POLICIES,
  type RandomWorld,
  type WorldState,
  worldsOf,
} from './random-worlds.ts';
import { Rig } from './rig.ts';
import { RigPackets } from './rig-packets.ts';
import type { RigPod } from './rig-pod.ts';
import { RigPolicies } from './rig-policies.ts';

/** Addresses for few tenants and segments, so that some of both have bits and the others share the pool. */
const PLANS = ['10.0.0.0/16:4,2,2,8', 'fd00:10::/64:16,2,2,44'];
/** For making a world that fails smaller, in milliseconds. */
const SHRINK_MS = 60_000;
const NOBODIES = ['on-host', 'finished'] as const;

/** A pod that is there, with the state that it was made for. */
interface Placed {
  readonly pod: RigPod;
  readonly made: Pick<PodState, 'namespace' | 'segment'>;
}

/** Makes a rig into one world after the other and sends packets in each. */
class WorldPlayer {
  readonly #rig: Rig;
  readonly #packets: RigPackets;
  readonly #policies: RigPolicies;
  readonly #pods = new Map<number, Placed>();
  /** What was last put, by policy. */
  readonly #specs: (object | undefined)[] = [];
  readonly #namespaces = new Map<Tenant, NamespaceState>();
  readonly #zones: (string | undefined)[] = [];
  readonly #nobodies: { readonly labels: object; readonly addresses: readonly string[] }[] = [];
  #names = 0;

  private constructor(rig: Rig, packets: RigPackets) {
    this.#rig = rig;
    this.#packets = packets;
    this.#policies = new RigPolicies(rig);
  }

  static async start(rig: Rig): Promise<WorldPlayer> {
    for (const name of TENANTS) await rig.namespace(name);
    return new WorldPlayer(rig, await RigPackets.start(rig));
  }

  /** What was sent. */
  get counts(): RigPackets['counts'] {
    return this.#packets.counts;
  }

  /** Plays one world. @throws AssertionError with the packets of which not what `evaluate` says has become */
  async play({ start, edits }: RandomWorld): Promise<void> {
    await this.#packets.giveUp(() => true);
    let state = start;
    await this.#become(state);
    await this.#look(0);
    for (const [n, changes] of edits.entries()) {
      state = changes.reduce(edited, state);
      await this.#become(state);
      await this.#look(n + 1);
    }
  }

  /** Of each pair one family, and the other one after the next edit. */
  async #look(turn: number): Promise<void> {
    const pods = Array.from(this.#pods, ([place, { pod }]) => [place, pod] as const);
    await this.#packets.look(new Map(pods), (from, to) => ((from + to + turn) % 2 === 0 ? [4] : [6]));
  }

  async #become(state: WorldState): Promise<void> {
    await Promise.all(TENANTS.map((name) => this.#setNamespace(name, state.namespaces[name])));
    await Promise.all(state.zones.map((zone, n) => this.#setZone(n, zone)));
    await Promise.all(state.pods.map((pod, place) => this.#setPod(place, pod)));
    await Promise.all(state.policies.map((spec, n) => this.#setPolicy(n, spec)));
    await Promise.all(state.nobodies.map((labels, n) => this.#setNobody(n, labels)));
    await this.#rig.settled();
  }

  async #setNamespace(name: Tenant, state: NamespaceState): Promise<void> {
    const before = this.#namespaces.get(name) ?? {};
    if (isDeepStrictEqual(before, state)) return;
    const { team = null, isolation } = state;
    const annotations = {
      [ALPHA_ISOLATION]: isolation === 'alpha' ? 'on' : isolation === 'off' ? 'off' : null,
      [BETA_ISOLATION]: isolation === 'beta' ? '{"ingress":{"isolation":"DefaultDeny"}}' : null,
    };
    await this.#rig.api.client.patch(NAMESPACES, name, { metadata: { labels: { team }, annotations } });
    this.#namespaces.set(name, state);
  }

  async #setZone(n: number, zone: string | undefined): Promise<void> {
    if (this.#zones[n] === zone) return;
    await this.#rig.api.client.patch(NODES, this.#rig.host(n).name, { metadata: { labels: { zone: zone ?? null } } });
    this.#zones[n] = zone;
  }

  async #setPod(place: number, state: PodState | undefined): Promise<void> {
    const before = this.#pods.get(place);
    const { namespace, segment } = state ?? {};
    const stays =
      state !== undefined && isDeepStrictEqual(before?.made, { namespace, segment }) ? before?.pod : undefined;
    if (stays === undefined && before !== undefined) {
      this.#pods.delete(place);
      await this.#packets.giveUp((pod) => pod === before.pod);
      await this.#rig.remove(before.pod);
    }
    if (state === undefined) return;
    const pod = stays ?? (await this.#newPod(place, state));
    this.#pods.set(place, { pod, made: { namespace: state.namespace, segment: state.segment } });
    if (isDeepStrictEqual(pod.labels, state.labels)) return;
    await pod.label({ segment: null, app: null, ...state.labels });
  }

  /** With the segment that its address is to have; it is named after its place, whatever was there before. */
  async #newPod(place: number, { namespace, segment, labels }: PodState): Promise<RigPod> {
    this.#names += 1;
    const its = inSegment(labels, segment);
    const name = `pod${place}-${this.#names}`;
    return this.#rig.pod({
      namespace,
      name,
      labels: its,
      ports: namedPorts(its),
      host: place % this.#rig.hosts.length,
    });
  }

  async #setPolicy(n: number, spec: object | undefined): Promise<void> {
    const slot = POLICIES[n];
    if (slot === undefined || isDeepStrictEqual(this.#specs[n], spec)) return;
    const { kind, namespace = '' } = slot;
    const name = `p${n}`;
    if (spec === undefined) {
      await (kind === 'demo'
        ? this.#rig.deletePolicy(namespace, name)
        : this.#policies.delete(name, kind === 'v1' ? namespace : undefined));
    } else if (kind === 'v1') await this.#policies.v1(namespace, name, spec);
    else if (kind === 'demo') await this.#rig.policy(namespace, name, spec);
    else await this.#policies.cluster(name, spec);
    this.#specs[n] = spec;
  }

  /** A pod that counts nowhere: one on a host's network, or one that is finished and shows another's address. */
  async #setNobody(n: number, labels: Readonly<Record<string, string>>): Promise<void> {
    const { client } = this.#rig.api;
    const name = NOBODIES[n] ?? 'nobody';
    const [host, namespace, onHost] = [this.#rig.host(0), 'red', name === 'on-host'];
    const addresses = onHost ? host.addresses : (this.#pods.get(0)?.pod.addresses ?? []);
    const before = this.#nobodies[n];
    if (before === undefined) {
      const spec = { nodeName: host.name, hostNetwork: onHost, containers: [{ name: 'main', image: 'nginx' }] };
      await client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec }, namespace);
    } else if (!isDeepStrictEqual(before.labels, labels)) {
      const metadata = { labels: { segment: null, app: null, ...labels } };
      await client.patch(PODS, name, { metadata }, { namespace });
    }
    if (!isDeepStrictEqual(before?.addresses, addresses)) {
      const podIPs = addresses.map((ip) => ({ ip }));
      const status = { phase: onHost ? 'Running' : 'Succeeded', podIP: podIPs[0]?.ip, podIPs };
      await client.patch(PODS, name, { status }, { namespace, subresource: 'status' });
    }
    this.#nobodies[n] = { labels, addresses };
  }
}

/**
 * A test that plays `runs` random worlds on a rig of its own. One that fails is made smaller for a minute and told with
 * its seed, by which all can be played again.
 */
export async function playRandomWorlds(
  t: TestContext,
  options: {
    readonly runs: number;
    readonly seed?: number | undefined;
    /** Whether policies name pods by what the bits of their addresses say, which all of them have then. */
    readonly byBits?: boolean;
  },
): Promise<void> {
  const { runs, seed = randomInt(2 ** 30), byBits = false } = options;
  const rig = await Rig.start(byBits ? {} : { plans: PLANS });
  t.after(() => rig[Symbol.asyncDispose]());
  const player = await WorldPlayer.start(rig);
  t.diagnostic(`seed ${seed}`);
  const begin = performance.now();
  let failedAt: number | undefined;
  let first: unknown;
  const property = fc.asyncProperty(worldsOf(byBits ? BITS_SPECS : ANY_SPECS), async (world) => {
    // When the time is over nothing smaller is found.
    if (failedAt !== undefined && performance.now() - failedAt > SHRINK_MS) return;
    try {
      await player.play(world);
    } catch (error) {
      failedAt ??= performance.now();
      first ??= error;
      throw error;
    }
  });
  const { failed, numRuns, numShrinks, counterexample, errorInstance } = await fc.check(property, {
    numRuns: runs,
    seed,
  });
  if (failed) {
    const [smallest] = counterexample ?? [];
    throw new Error(
      `world ${numRuns} of seed ${seed}: ${String(first)}\nmade smaller ${numShrinks} times:\n${JSON.stringify(smallest)}\n${String(errorInstance)}\n${rig.log}`,
      { cause: errorInstance },
    );
  }
  const seconds = (performance.now() - begin) / 1_000;
  const pace = `${Math.round((1_000 * seconds) / runs)} ms a world`;
  t.diagnostic(`${runs} worlds ${JSON.stringify(player.counts)} in ${Math.round(seconds)} s, ${pace}`);
}
