import { ClassAnswers, familiesOf, NO, PERHAPS, YES, type Answers, type Families } from './class-answers.ts';
import { classify, type EndpointClass, type EndpointClasses } from './endpoint-classes.ts';
import type { Cluster } from './cluster.ts';
import { matchesPorts, type Port } from './match.ts';
import type { Direction, Policy, Rule } from './model.ts';
import { indexOf } from './world.ts';

/** A port that is tried at every destination: a number, a name that each resolves for itself, or ping. */
export type TriedPort = Port | { readonly protocol: 'TCP' | 'UDP' | 'SCTP'; readonly name: string };

/** The port that `tried` is at a destination; undefined if it has none of that name. */
export function portAt(tried: TriedPort, { ports }: Pick<EndpointClass, 'ports'>): Port | undefined {
  if (!('name' in tried)) return tried;
  const { protocol, name } = tried;
  const found = ports.find((port) => port.name === name && port.protocol === protocol);
  return found === undefined ? undefined : { protocol, port: found.port };
}

/** Verdicts by class of peer: 1 is allowed. */
type Verdicts = Uint8Array;

/** A policy that selects a class of pods, for certain or perhaps. */
interface Selecting {
  readonly policy: Policy;
  readonly answer: typeof PERHAPS | typeof YES;
}

/** What decides about the pods of one class in one direction. */
interface Subject {
  readonly admin: readonly Selecting[];
  readonly middle: readonly Selecting[];
  readonly baseline: readonly Selecting[];
  readonly isolated: boolean;
  readonly families: Families;
}

const OPEN = 0;
const PASSED = 1;
const DECIDED = 2;
/** A Pass may have matched: what follows in the tier can still deny, but no longer accept. */
const PERHAPS_PASSED = 3;

/** Answers of a rule that matches nobody. */
const NOBODY: Answers = new Uint8Array(0);

const ANSWER = { no: NO, unknown: PERHAPS, yes: YES } as const;

/**
 * What `evaluate` says of every two endpoints of a cluster, worked out for classes of equal ones: the policies that
 * select a class are run once against all classes of peers together. Neither a pod and itself nor a pod and its own
 * host are told apart from others here.
 */
export class VerdictTable {
  readonly #cluster: Cluster;
  readonly #all: EndpointClasses;
  readonly #answers: ClassAnswers;
  readonly #subjects = new Map<string, Subject>();

  /** `named`: whether ports are going to be tried by name. */
  constructor(cluster: Cluster, named: boolean) {
    this.#cluster = cluster;
    this.#all = classify(cluster.world.policies, cluster.endpoints, named);
    this.#answers = new ClassAnswers(cluster.world, this.#all);
  }

  /** The class of each endpoint. */
  get classOf(): readonly number[] {
    return this.#all.classOf;
  }

  /** By class of source, then by class of destination: whether both ends allow a connection to `port`; 1 is yes. */
  verdicts(port: TriedPort): readonly Verdicts[] {
    const count = this.#all.classes.length;
    const egress = this.#all.classes.map((_, i) => this.#direction('egress', i, port));
    const ingress = this.#all.classes.map((_, i) => this.#direction('ingress', i, port));
    return egress.map((row, from) => {
      const both = new Uint8Array(count);
      for (let to = 0; to < count; to += 1) both[to] = (row[to] ?? 0) & (ingress[to]?.[from] ?? 0);
      return both;
    });
  }

  /** Of the connections of one class with all others in one direction, those that its own policies allow. */
  readonly #rows = new Map<string, Verdicts>();

  #direction(direction: Direction, number: number, tried: TriedPort): Verdicts {
    const { classes } = this.#all;
    const subject = this.#subjectOf(direction, number);
    const own = classes[number];
    if (own === undefined) return new Uint8Array(classes.length);
    const port = direction === 'ingress' ? portAt(tried, own) : undefined;
    if (direction === 'ingress' && port === undefined) return new Uint8Array(classes.length);
    if (subject === undefined) return this.#everybody(direction, tried);
    const rules = [...subject.admin, ...subject.middle, ...subject.baseline];
    // What tells one class from another: who selects it, and where ports have names, what it has under them.
    const names = direction === 'ingress' && rules.some(({ policy }) => namesPorts(policy.ingress)) ? number : '';
    const who = rules.map(({ policy, answer }) => `${this.#numberOf(policy)}${answer === YES ? '' : '?'}`).join();
    const at = JSON.stringify(direction === 'ingress' ? port : tried);
    const key = `${direction} ${at} ${subject.isolated} ${subject.families} ${names} ${who}`;
    const before = this.#rows.get(key);
    if (before !== undefined) return before;
    const row = this.#run(direction, subject, own, tried);
    this.#rows.set(key, row);
    return row;
  }

  readonly #numbers = new Map<Policy, number>();

  #numberOf(policy: Policy): number {
    const number = this.#numbers.get(policy) ?? this.#numbers.size;
    this.#numbers.set(policy, number);
    return number;
  }

  /** Nobody selects hosts; what has no port of the name that is tried can't be reached there. */
  #everybody(direction: Direction, tried: TriedPort): Verdicts {
    const { classes } = this.#all;
    if (direction === 'ingress') return new Uint8Array(classes.length).fill(1);
    return Uint8Array.from(classes, (peer) => Number(portAt(tried, peer) !== undefined));
  }

  /** Undefined for a host. */
  #subjectOf(direction: Direction, number: number): Subject | undefined {
    const key = `${direction} ${number}`;
    const before = this.#subjects.get(key);
    const own = this.#all.classes[number];
    if (before !== undefined || own?.party.kind !== 'pod') return before;
    const { namespace } = own.party;
    const index = indexOf(this.#cluster.world);
    const selecting = (policies: readonly Policy[]): readonly Selecting[] =>
      policies.flatMap((policy) => {
        const answer = this.#answers.selection(policy.subject)[number];
        return answer === YES || answer === PERHAPS ? [{ policy, answer }] : [];
      });
    const middle = selecting(index.of(namespace)).filter(
      ({ policy }) => policy.source !== 'v1' || policy.isolates[direction],
    );
    const isolatedByName = direction === 'ingress' && this.#cluster.world.namespaces.get(namespace)?.isolated !== false;
    const subject: Subject = {
      admin: selecting(index.admin).filter(({ policy }) => policy[direction].length > 0),
      middle,
      baseline: selecting(index.baseline).filter(({ policy }) => policy[direction].length > 0),
      isolated: isolatedByName || middle.some(({ policy }) => policy.isolates[direction]),
      families: familiesOf(own),
    };
    this.#subjects.set(key, subject);
    return subject;
  }

  #run(direction: Direction, subject: Subject, own: EndpointClass, tried: TriedPort): Verdicts {
    const { classes } = this.#all;
    const state = new Uint8Array(classes.length);
    const verdicts = new Uint8Array(classes.length);
    const matchesOf = (rule: Rule): Answers => this.#matches(direction, rule, subject, own, tried);
    runTier(subject.admin, direction, matchesOf, state, verdicts);
    reopen(state);
    runMiddle(subject, direction, matchesOf, state, verdicts);
    runTier(subject.baseline, direction, matchesOf, state, verdicts);
    for (let i = 0; i < verdicts.length; i += 1) if (state[i] !== DECIDED) verdicts[i] = 1;
    if (direction === 'egress' && 'name' in tried) {
      for (const [i, peer] of classes.entries()) if (portAt(tried, peer) === undefined) verdicts[i] = 0;
    }
    return verdicts;
  }

  /** Which peers a rule matches at the port that is tried. */
  #matches(direction: Direction, rule: Rule, subject: Subject, own: EndpointClass, tried: TriedPort): Answers {
    const { classes } = this.#all;
    const answerAt = (destination: EndpointClass): number => {
      const port = portAt(tried, destination);
      return port === undefined ? NO : ANSWER[matchesPorts(rule.ports, port, destination.party)];
    };
    if (direction === 'ingress' || (!('name' in tried) && !namesPorts([rule]))) {
      const ports = answerAt(own);
      if (ports === NO) return NOBODY;
      const peers = this.#answers.peers(rule.peers, subject.families);
      return ports === YES ? peers : peers.map((answer) => Math.min(answer, ports));
    }
    const peers = this.#answers.peers(rule.peers, subject.families);
    return peers.map((answer, i) => {
      const destination = classes[i];
      return answer === NO || destination === undefined ? NO : Math.min(answer, answerAt(destination));
    });
  }
}

function namesPorts(rules: readonly Rule[]): boolean {
  return rules.some(
    ({ ports }) => ports !== 'any' && ports.some((match) => match.ports !== 'any' && 'name' in match.ports),
  );
}

/** What a tier has passed on is open to the next. */
function reopen(state: Uint8Array): void {
  for (let i = 0; i < state.length; i += 1) if (state[i] !== DECIDED) state[i] = OPEN;
}

/** The tier between: policies allow, and where nothing does, isolation denies. */
function runMiddle(
  subject: Subject,
  direction: Direction,
  matchesOf: (rule: Rule) => Answers,
  state: Uint8Array,
  verdicts: Verdicts,
): void {
  for (const { policy, answer } of subject.middle) {
    if (answer !== YES) continue;
    for (const rule of policy[direction]) {
      const found = matchesOf(rule);
      for (let i = 0; i < found.length; i += 1) {
        if (found[i] !== YES || state[i] === DECIDED) continue;
        state[i] = DECIDED;
        verdicts[i] = 1;
      }
    }
  }
  if (subject.isolated) state.fill(DECIDED);
}

/** One tier of cluster policies: the first rule that matches decides, as `evaluate` has it. */
function runTier(
  tier: readonly Selecting[],
  direction: Direction,
  matchesOf: (rule: Rule) => Answers,
  state: Uint8Array,
  verdicts: Verdicts,
): void {
  for (const { policy, answer } of tier) {
    for (const rule of policy[direction]) {
      const found = matchesOf(rule);
      for (let i = 0; i < found.length; i += 1) {
        const match = found[i];
        if (match === NO || state[i] === DECIDED || state[i] === PASSED) continue;
        if (rule.action === 'Deny') {
          state[i] = DECIDED;
          verdicts[i] = 0;
        } else if (answer === YES && match === YES) {
          const passes = rule.action === 'Pass' || state[i] === PERHAPS_PASSED;
          state[i] = passes ? PASSED : DECIDED;
          verdicts[i] = passes ? 0 : 1;
        } else if (rule.action === 'Pass') {
          state[i] = PERHAPS_PASSED;
        }
      }
    }
  }
}
