import type { Family } from '../addr/address.ts';
import type { Direction, Policy } from '../policy/model.ts';
import { chainMatches } from './chain-matches.ts';
import type { KnownPods, LocalPod } from './known-pods.ts';
import { leaseTexts } from './lease-texts.ts';
import { NamePool } from './name-pool.ts';
import { PeerCompiler } from './peers.ts';
import type { PeerWatch } from './peers.ts';
import { addPolicyChain } from './policy-chain.ts';
import type { ChainContext } from './policy-chain.ts';
import { portNames } from './ports.ts';
import type { PortNames } from './ports.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';
import { INTERFACE_PREFIX } from './spoof.ts';
import { Subjects } from './subjects.ts';
import type { Standing } from './subjects.ts';
import type { Tenancy } from './tenancy.ts';

/** The bit of the conntrack mark that says: this connection was allowed once and no longer is. */
export const REVOKED_MARK = 0x10000000;

const DIRECTIONS = ['egress', 'ingress'] as const;

/** What policy is compiled from. */
export interface ForwardInput {
  readonly snapshot: Snapshot;
  readonly tenancy: Tenancy;
  readonly known: KnownPods;
}

/**
 * The verdicts on what is forwarded, after service translation: a chain for every distinct set of policies that
 * select a pod of this host, and a map from each isolated pod's address to its chain. A pod that nothing isolates is
 * in no map. A direction is judged on the host of the pod that it is about: egress at the source, ingress at the
 * destination; within one host a packet meets both.
 */
export function addForward(builder: RulesetBuilder, input: ForwardInput): readonly PeerWatch[] {
  const compiler = new ChainCompiler(builder, input);
  const maps = {
    egress: { 4: new Map<string, string>(), 6: new Map<string, string>() },
    ingress: { 4: new Map<string, string>(), 6: new Map<string, string>() },
  };
  const subjects = new Subjects(input.snapshot);
  for (const local of input.known.locals) {
    const standings = standingsOf(subjects, local, input.snapshot.network.segmentLabel);
    for (const direction of DIRECTIONS) {
      const standing = standings[direction];
      if (standing === undefined) continue;
      const verdict = compiler.verdict(direction, standing, local);
      for (const { address, family } of leaseTexts(local.lease).endpoints)
        maps[direction][family].set(address, verdict);
    }
  }
  const families = input.snapshot.network.plans.map(({ family }) => family);
  const selves = input.snapshot.leases.map((lease) => leaseTexts(lease).self);
  builder.set('self', 'ifname . ifname', selves, { comment: 'a pod and itself, through a Service' });
  for (const direction of DIRECTIONS) {
    for (const family of families) {
      const comment = `pods isolated for ${direction}`;
      builder.verdicts(`${direction}${family}`, family, maps[direction][family], comment);
    }
  }
  for (const family of families) {
    builder.chain(`errors${family}`, {
      comment: 'a pod complains of its own connections only',
      rules: errorRules(family),
    });
  }
  builder.chain('forward', {
    hook: { type: 'filter', hook: 'forward', priority: 'filter' },
    comment: 'policy, for the first packet of each connection',
    rules: forwardRules(families),
  });
  return compiler.watches;
}

function forwardRules(families: readonly Family[]): string[] {
  const notPlainSyn = 'tcp flags & (fin | syn | rst | ack) != syn drop';
  return [
    `ct mark & 0x${REVOKED_MARK.toString(16)} != 0 drop`,
    'ct state established accept',
    ...families.map((f) => `iifname "${INTERFACE_PREFIX}*" ${WORDS[f].errors} goto errors${f}`),
    'ct state related accept',
    `iifname "${INTERFACE_PREFIX}*" ${notPlainSyn}`,
    `oifname "${INTERFACE_PREFIX}*" ${notPlainSyn}`,
    // A veth that is not known yet is sent nothing.
    ...families.map((f) => `oifname "${INTERFACE_PREFIX}*" oifname . ${WORDS[f].ip} daddr != @endpoints${f} drop`),
    'iifname . oifname @self accept',
    ...families.map((f) => `${WORDS[f].ip} saddr vmap @egress${f}`),
    ...families.map((f) => `${WORDS[f].ip} daddr vmap @ingress${f}`),
  ];
}

/**
 * An ICMP error is related to the connection that it quotes, whoever sends it, so that it would pass without policy.
 * From a pod it must be about a connection of the pod's own: who began it or who answers (after DNAT) is behind the
 * interface that the error comes by. One about a connection that this host does not know is dropped as well, or
 * the host of who is told, where it is known, would take it for related.
 */
function errorRules(family: Family): string[] {
  const { ip } = WORDS[family];
  return [
    `iifname . ct reply ${ip} saddr @endpoints${family} ct state related accept`,
    `iifname . ct original ${ip} saddr @endpoints${family} ct state related accept`,
    'drop',
  ];
}

/** A pod that the API does not show (any more) keeps what its lease says; a finished one is nobody. */
function standingsOf(
  subjects: Subjects,
  { lease, pod, finished }: LocalPod,
  segmentLabel: string,
): ReturnType<Subjects['of']> {
  if (finished) return subjects.ofUnknown();
  if (pod !== undefined) return subjects.of(lease.namespace, { labels: pod.meta.labels, known: 'all' });
  const labels = new Map(lease.segment === null ? [] : [[segmentLabel, lease.segment]]);
  return subjects.of(lease.namespace, { labels, known: 'segment' });
}

/** What the chain of a standing depends on beside the standing itself. */
interface StandingKey {
  readonly key: string;
  readonly ports: ReturnType<typeof portNames>;
  /** The jump to its chain, once it is made, when that is the same for all pods. */
  verdict?: string;
}

class ChainCompiler {
  readonly #context: ChainContext;
  readonly #peers: PeerCompiler;
  readonly #verdicts = new Map<string, string>();
  readonly #keys = new Map<Standing, StandingKey>();
  readonly watches: PeerWatch[] = [];

  constructor(builder: RulesetBuilder, { snapshot, tenancy, known }: ForwardInput) {
    this.#context = { builder, plans: snapshot.network.plans, names: new NamePool() };
    this.#peers = new PeerCompiler(snapshot, tenancy, known);
  }

  /** The jump to the chain for a pod, which is made when it is the first one to need it. */
  verdict(direction: Direction, standing: Standing, { pod }: LocalPod): string {
    const of = this.#keyOf(direction, standing);
    if (of.verdict !== undefined) return of.verdict;
    const names: PortNames = (name, protocol) =>
      (pod?.ports ?? []).filter((p) => p.name === name && p.protocol === protocol).map((p) => p.port);
    const resolved = of.ports.map(({ name, protocol }) => ` ${protocol}/${name}=${names(name, protocol).join()}`);
    const whole = `${of.key}${resolved.join('')}`;
    const verdict = this.#verdicts.get(whole) ?? `jump ${this.#makeChain(direction, standing, whole, names)}`;
    this.#verdicts.set(whole, verdict);
    if (of.ports.length === 0) of.verdict = verdict;
    return verdict;
  }

  #makeChain(direction: Direction, { policies }: Standing, key: string, names: PortNames): string {
    const prefix = direction === 'ingress' ? 'in' : 'eg';
    const chain = policies.length === 0 ? `${prefix}-isolated` : this.#context.names.name(prefix, key);
    const matches = chainMatches(policies, direction, { peers: this.#peers, plans: this.#context.plans, names });
    this.watches.push(...matches.watches);
    addPolicyChain(this.#context, { name: chain, comment: commentOf(policies), direction, end: 'drop' }, matches);
    return chain;
  }

  #keyOf(direction: Direction, standing: Standing): StandingKey {
    const before = this.#keys.get(standing);
    if (before !== undefined) return before;
    const names = standing.policies.map(({ source, ref }) => `${source} ${ref.namespace}/${ref.name}`).sort();
    const ports =
      direction === 'egress'
        ? []
        : standing.policies.flatMap((policy) => policy.ingress.flatMap((rule) => portNames(rule.ports)));
    const made: StandingKey = { key: `${direction} ${names.join()}`, ports };
    this.#keys.set(standing, made);
    return made;
  }
}

function commentOf(policies: readonly Policy[]): string {
  if (policies.length === 0) return 'isolated, and no policy allows anything';
  const names = policies.map(({ ref }) => `${ref.namespace}/${ref.name}`).sort();
  let text = '';
  for (const [index, name] of names.entries()) {
    const next = index === 0 ? name : `${text}, ${name}`;
    if (next.length > 100) return `${text} and ${names.length - index} more`;
    text = next;
  }
  return text;
}
