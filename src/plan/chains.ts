import { policyName } from '../policy/model.ts';
import type { Direction, Policy } from '../policy/model.ts';
import { chainMatches } from './chain-matches.ts';
import type { KnownPods, LocalPod } from './known-pods.ts';
import { NamePool } from './name-pool.ts';
import { ownHostMatcher } from './own-host.ts';
import { PeerConditions } from './peer-conditions.ts';
import { PeerCompiler } from './peers.ts';
import type { PeerWatch } from './peers.ts';
import { addPolicyChain } from './policy-chain.ts';
import type { ChainContext } from './policy-chain.ts';
import { portNames } from './ports.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';
import type { Chosen, Standing } from './subjects.ts';
import { deny } from './tally.ts';
import type { Tenancy } from './tenancy.ts';
import { addTierChain, namesOf, podMatcher } from './tier-chain.ts';
import type { PodPorts, TierMatcher } from './tier-chain.ts';

/** What policy is compiled from. */
export interface PolicyInput {
  readonly snapshot: Snapshot;
  readonly tenancy: Tenancy;
  readonly known: KnownPods;
}

const ALLOW = 'return';
const PREFIX = { ingress: 'in', egress: 'eg' } as const;

/**
 * Makes the chains that pods' standings come to, each once: pods with the same policies share them. A standing is up to
 * three chains, each of which goes on to the next: Admin tier, the policies in the middle, Baseline tier.
 */
export class ChainCompiler {
  readonly #context: ChainContext;
  readonly #peers: PeerCompiler;
  readonly #conditions: PeerConditions;
  readonly #ownHost: TierMatcher;
  /** Jumps, '' where nothing is forbidden, of standings in which no port of the pod itself has a name. */
  readonly #verdicts = new Map<Standing, string>();
  readonly #hostVerdicts = new Map<Standing, string>();
  readonly #watches: PeerWatch[] = [];

  constructor(builder: RulesetBuilder, input: PolicyInput) {
    const { snapshot } = input;
    this.#context = { builder, plans: snapshot.network.plans, names: new NamePool() };
    this.#peers = new PeerCompiler(snapshot, input.tenancy, input.known);
    this.#conditions = new PeerConditions({ ...this.#context, ...input, peers: this.#peers });
    this.#ownHost = ownHostMatcher(snapshot, this.#conditions);
  }

  /** What has to be watched so that all peers are known. */
  get watches(): readonly PeerWatch[] {
    return [...this.#watches, ...this.#conditions.watches];
  }

  /** The jump to the first chain for a pod, which is made for the first one to need it; undefined: nothing is forbidden. */
  verdict(direction: Direction, standing: Standing, { pod }: LocalPod): string | undefined {
    const before = this.#verdicts.get(standing);
    if (before !== undefined) return before === '' ? undefined : before;
    const policies = [...standing.policies, ...[...standing.admin, ...standing.baseline].map((each) => each.policy)];
    const verdict = this.#make(direction, standing, pod?.ports ?? 'unknown');
    if (portsOf(policies, direction).length === 0) this.#verdicts.set(standing, verdict);
    return verdict === '' ? undefined : verdict;
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
    const key = `${names}${portsText(policies, direction, ports)} then ${next}`;
    const name = this.#context.names.name(prefix, key);
    const { builder } = this.#context;
    if (builder.hasChain(name)) return `goto ${name}`;
    const comment = commentOf(policies);
    return addTierChain(builder, { name, comment, chosen, direction, next }, matcher) ? `goto ${name}` : next;
  }

  #middle(direction: Direction, { policies, isolated }: Standing, end: string, ports: PodPorts): string {
    if (policies.length === 0 && !isolated) return end;
    const prefix = PREFIX[direction];
    const { builder, names, plans } = this.#context;
    const keys = policies.map(({ source, ref }) => `${source} ${ref.namespace}/${ref.name}`).sort();
    const then = end === deny(direction) ? '' : ` then ${end}`;
    const key = `${direction} ${keys.join()}${portsText(policies, direction, ports)}${then}`;
    const name = policies.length === 0 ? `${prefix}-isolated` : names.name(prefix, key);
    if (builder.hasChain(name)) return `goto ${name}`;
    const matches = chainMatches(policies, direction, { peers: this.#peers, plans, names: namesOf(ports) });
    this.#watches.push(...matches.watches);
    addPolicyChain(this.#context, { name, comment: commentOf(policies), direction, end }, matches);
    return `goto ${name}`;
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
function portsText(policies: readonly Policy[], direction: Direction, ports: PodPorts): string {
  const resolve = namesOf(ports);
  const texts = portsOf(policies, direction).map(({ name, protocol }) => {
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
