import type { Plan } from '../addr/plan.ts';
import { policyName } from '../policy/model.ts';
import type { Direction, PodSelection, Policy } from '../policy/model.ts';
import { chainMatches } from './chain-matches.ts';
import type { KnownPods, LocalPod } from './known-pods.ts';
import { ownHostMatcher } from './own-host.ts';
import { PeerConditions } from './peer-conditions.ts';
import { PeerCompiler, sameButAddresses } from './peers.ts';
import type { CompiledPeers, PeerMemory, PeerWorld } from './peers.ts';
import { addPolicyChain } from './policy-chain.ts';
import type { ChainContext } from './policy-chain.ts';
import { portNames } from './ports.ts';
import type { Fragment, RulesetBuilder } from './ruleset-builder.ts';
import { sameItems } from './same.ts';
import type { Snapshot } from './snapshot.ts';
import type { Chosen, Standing } from './subjects.ts';
import { deny } from './tally.ts';
import { addTierChain, namesOf, podMatcher } from './tier-chain.ts';
import type { PodPorts, TierMatcher } from './tier-chain.ts';

/** What policy is compiled from. */
export interface PolicyInput {
  readonly snapshot: Snapshot;
  /** The same object as before if it says the same. */
  readonly world: PeerWorld;
  readonly known: KnownPods;
  readonly memory: ChainMemory;
}

/** The chains of one standing, for pods whose named ports are the same. */
interface Made {
  /** The jump to the first one, '' where nothing is forbidden. */
  readonly verdict: string;
  readonly fragment: Fragment;
  /** When it was found to hold last. */
  by: Moment;
}

/** All that chains of one ruleset are made of beside policies. */
interface Moment {
  readonly plans: readonly Plan[];
  readonly known: readonly unknown[];
}

/** Chains that were made before. */
export class ChainMemory {
  readonly peers: PeerMemory = new WeakMap();
  readonly made = new WeakMap<Standing, Map<string, Made>>();
  /** What pods of a standing differ by: the ports of their own that policies name. */
  readonly ports = new WeakMap<Standing, ReturnType<typeof portNames>>();
}

const ALLOW = 'return';
const PREFIX = { ingress: 'in', egress: 'eg' } as const;

/**
 * Makes the chains that pods' standings come to, each once: pods with the same policies share them. A standing is up to
 * three chains, each of which goes on to the next: Admin tier, the policies in the middle, Baseline tier. What was made
 * for an earlier ruleset is declared again as it is, if nothing that it was made of differs.
 */
export class ChainCompiler {
  readonly #context: ChainContext;
  readonly #memory: ChainMemory;
  readonly #peers: PeerCompiler;
  readonly #conditions: PeerConditions;
  readonly #ownHost: TierMatcher;
  readonly #hostVerdicts = new Map<Standing, string>();
  readonly #now: Moment;
  /** Of former moments, whether all that is known is the same now. */
  readonly #same = new Map<Moment, boolean>();

  constructor(builder: RulesetBuilder, input: PolicyInput) {
    const { snapshot, known, world, memory } = input;
    this.#context = { builder, plans: snapshot.network.plans };
    this.#memory = memory;
    this.#peers = new PeerCompiler(snapshot, world, known, memory.peers, builder);
    const { tenancy } = world;
    this.#conditions = new PeerConditions({ builder, snapshot, tenancy, known, peers: this.#peers });
    this.#ownHost = ownHostMatcher(snapshot, this.#conditions);
    this.#now = { plans: snapshot.network.plans, known: [known, world, ...snapshot.hosts.values()] };
  }

  /** The jump to the first chain for a pod, which is made for the first one to need it; undefined: nothing is forbidden. */
  verdict(direction: Direction, standing: Standing, { pod }: LocalPod): string | undefined {
    const ports = pod?.ports ?? 'unknown';
    const names = this.#portsOf(standing, direction);
    const key = names.length === 0 ? '' : portsText(names, ports);
    const made = this.#memory.made.get(standing) ?? new Map<string, Made>();
    this.#memory.made.set(standing, made);
    let one = made.get(key);
    if (one === undefined || !this.#stands(one)) {
      const { result, fragment } = this.#context.builder.record(() => this.#make(direction, standing, ports));
      one = { verdict: result, fragment, by: this.#now };
      made.set(key, one);
    }
    return one.verdict === '' ? undefined : one.verdict;
  }

  /** The jump to the chain for what a pod sends to its own host; undefined: nothing is forbidden. */
  hostVerdict(standing: Standing): string | undefined {
    let verdict = this.#hostVerdicts.get(standing);
    if (verdict === undefined) {
      const baseline = this.#tier('host-baseline', 'egress', standing.baseline, ALLOW, this.#ownHost);
      verdict = jumpTo(this.#tier('host-admin', 'egress', standing.admin, baseline, this.#ownHost));
      this.#hostVerdicts.set(standing, verdict);
    }
    return verdict === '' ? undefined : verdict;
  }

  /** Whether what was made is in this ruleset, or can be put into it as it is. */
  #stands(made: Made): boolean {
    if (made.by === this.#now) return true;
    if (!this.#holds(made) || !this.#context.builder.replay(made.fragment)) return false;
    made.by = this.#now;
    return true;
  }

  #holds({ by, fragment }: Made): boolean {
    const same = this.#same.get(by) ?? sameItems(by.known, this.#now.known);
    this.#same.set(by, same);
    if (same) return true;
    if (fragment.ofMore || by.plans !== this.#now.plans) return false;
    const moved: [PodSelection, CompiledPeers][] = [];
    for (const [selection, compiled] of fragment.selections) {
      const now = this.#peers.compile(selection);
      if (now === compiled) continue;
      if (!sameButAddresses(compiled, now)) return false;
      moved.push([selection, now]);
    }
    for (const [selection, now] of moved) this.#context.builder.renew(fragment, selection, now);
    return true;
  }

  #portsOf(standing: Standing, direction: Direction): ReturnType<typeof portNames> {
    const before = this.#memory.ports.get(standing);
    if (before !== undefined) return before;
    const { policies, admin, baseline } = standing;
    const names = portsOf([...policies, ...[...admin, ...baseline].map((each) => each.policy)], direction);
    this.#memory.ports.set(standing, names);
    return names;
  }

  #make(direction: Direction, standing: Standing, ports: PodPorts): string {
    const matcher = podMatcher(this.#conditions, ports);
    const prefix = PREFIX[direction];
    const { admin, baseline, isolated } = standing;
    const last = isolated
      ? deny(direction)
      : this.#tier(`${prefix}-baseline`, direction, baseline, ALLOW, matcher, ports);
    const middle = this.#middle(direction, standing, last, ports);
    return jumpTo(this.#tier(`${prefix}-admin`, direction, admin, middle, matcher, ports));
  }

  /** What to do when it comes to a tier: `goto` its chain, or what follows where nothing in it matches anybody. */
  #tier(
    prefix: string,
    direction: Direction,
    chosen: readonly Chosen[],
    next: string,
    matcher: TierMatcher,
    ports: PodPorts = [],
  ): string {
    if (chosen.length === 0) return next;
    const policies = chosen.map(({ policy }) => policy);
    const names = chosen.map(({ policy, certain }) => `${policy.ref.name}${certain ? '' : '?'}`).join();
    const key = `${names}${portsText(portsOf(policies, direction), ports)} then ${next}`;
    const { builder } = this.#context;
    const name = builder.name(prefix, key);
    return builder.part(name, () => {
      builder.useMore();
      const comment = commentOf(policies);
      return addTierChain(builder, { name, comment, chosen, direction, next }, matcher) ? `goto ${name}` : next;
    });
  }

  #middle(direction: Direction, { policies, isolated }: Standing, end: string, ports: PodPorts): string {
    if (policies.length === 0 && !isolated) return end;
    const prefix = PREFIX[direction];
    const { builder, plans } = this.#context;
    const keys = policies.map(({ source, ref }) => `${source} ${ref.namespace}/${ref.name}`).sort();
    const then = end === deny(direction) ? '' : ` then ${end}`;
    const key = `${direction} ${keys.join()}${portsText(portsOf(policies, direction), ports)}${then}`;
    const name = policies.length === 0 ? `${prefix}-isolated` : builder.name(prefix, key);
    return builder.part(name, () => {
      const matches = chainMatches(policies, direction, { peers: this.#peers, plans, names: namesOf(ports) });
      builder.watch(matches.watches);
      addPolicyChain(this.#context, { name, comment: commentOf(policies), direction, end }, matches);
      return `goto ${name}`;
    });
  }
}

/** `jump` to what a chain would `goto`; '' for what allows. */
function jumpTo(step: string): string {
  return step === ALLOW ? '' : step.replace(/^goto/, 'jump');
}

/** The ports by name that policies mean of the pod itself. */
function portsOf(policies: readonly Policy[], direction: Direction): ReturnType<typeof portNames> {
  if (direction === 'egress') return [];
  return policies.flatMap((policy) => policy.ingress.flatMap((rule) => portNames(rule.ports)));
}

/** What these names come to: pods for which it is the same share a chain. */
function portsText(names: ReturnType<typeof portNames>, ports: PodPorts): string {
  const resolve = namesOf(ports);
  const texts = names.map(({ name, protocol }) => {
    const numbers = ports === 'unknown' ? '?' : resolve(name, protocol).join();
    return ` ${protocol}/${name}=${numbers}`;
  });
  return texts.join('');
}

/** Names the policies of a chain, as far as a comment takes them. */
function commentOf(policies: readonly Policy[]): string {
  if (policies.length === 0) return 'isolated, and no policy allows anything';
  const cluster = policies.every(({ ref }) => ref.namespace === '');
  const names = policies.map((policy) => (cluster ? policyName(policy) : `${policy.ref.namespace}/${policy.ref.name}`));
  if (!cluster) names.sort();
  let text = '';
  for (const [index, name] of names.entries()) {
    const next = index === 0 ? name : `${text}, ${name}`;
    if (next.length > 100) return `${text} and ${names.length - index} more`;
    text = next;
  }
  return text;
}
