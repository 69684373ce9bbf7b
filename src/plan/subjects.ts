import { matchesPartly } from '../objects/selector.ts';
import type { Answer } from '../objects/selector.ts';
import type { Labels } from '../objects/meta.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Direction, Policy } from '../policy/model.ts';
import { comparePriority } from '../policy/world.ts';
import { sameItems } from './same.ts';
import { selectsNamespace } from './selects-namespace.ts';
import type { Snapshot } from './snapshot.ts';

/** What is known of the labels of a pod: all of them, or only whether it has the segment label, and its value. */
export interface KnownLabels {
  readonly labels: Labels;
  readonly known: 'all' | 'segment';
}

/** A cluster policy that selects a pod, or may do so. */
export interface Chosen {
  readonly policy: Policy;
  readonly certain: boolean;
}

/** What decides about one direction of a pod, in the order in which it is asked. */
export interface Standing {
  readonly admin: readonly Chosen[];
  /**
   * Whether nothing is allowed but what `policies` allow; else what they do not mention goes on to `baseline`. Between
   * a pod and its own host nothing isolates.
   */
  readonly isolated: boolean;
  /** v1 and demo policies, by name. */
  readonly policies: readonly Policy[];
  readonly baseline: readonly Chosen[];
}

/** What decides about a pod in both directions; undefined: nothing does, everything is allowed. */
export type Standings = Readonly<Record<Direction, Standing | undefined>>;

/** More classes of pods of one namespace are forgotten, as many come and go. */
const MAX_CLASSES = 4_096;

interface Candidate {
  readonly policy: Policy;
  /** Whether the policy means pods of the namespace; never `no`. */
  readonly inNamespace: Answer;
}

interface NamespacePolicies {
  readonly namespace: Namespace | undefined;
  /** Those that name it, and those that may select it. */
  readonly policies: readonly Policy[];
  readonly candidates: readonly Candidate[];
  /** Labels that any of the policies asks for: pods alike in these are alike to all of them. */
  readonly keys: readonly string[];
  readonly byLabels: Map<string, Standings>;
  /** As they were before. */
  readonly former: readonly Standings[];
}

/**
 * Finds the policies that select pods, each class of pods with equal labels once. As `evaluate` has it: a policy that
 * only may select a pod, because not all of its labels are known, isolates it and allows it nothing. A standing that is
 * as it was among the subjects of an earlier snapshot is the same object.
 */
export class Subjects {
  readonly #snapshot: Snapshot;
  readonly #byNamespace = new Map<string, Policy[]>();
  readonly #bySelector: Policy[] = [];
  readonly #namespaces = new Map<string, NamespacePolicies>();
  readonly #before: ReadonlyMap<string, NamespacePolicies>;
  #unknown: Standings | undefined;

  constructor(snapshot: Snapshot, before?: Subjects) {
    this.#snapshot = snapshot;
    const same = before !== undefined && before.#snapshot.network.segmentLabel === snapshot.network.segmentLabel;
    this.#before = same ? before.#namespaces : new Map();
    for (const policy of snapshot.policies) {
      const { namespaces } = policy.subject;
      if (namespaces.kind === 'selector') this.#bySelector.push(policy);
      else for (const name of once(namespaces.names)) this.#add(name, policy);
    }
  }

  #add(namespace: string, policy: Policy): void {
    const list = this.#byNamespace.get(namespace);
    if (list === undefined) this.#byNamespace.set(namespace, [policy]);
    else list.push(policy);
  }

  /** What decides about a pod of `namespace`. A namespace that is not known is isolated. */
  of(namespace: string, pod: KnownLabels): Standings {
    const here = this.#namespaces.get(namespace) ?? this.#readNamespace(namespace);
    const last = found.get(pod.labels);
    if (last?.here === here && last.known === pod.known) return last.standings;
    const standings = this.#ofClass(here, pod);
    found.set(pod.labels, { here, known: pod.known, standings });
    return standings;
  }

  #ofClass(here: NamespacePolicies, pod: KnownLabels): Standings {
    const key = classOf(pod, here.keys);
    const before = here.byLabels.get(key);
    if (before !== undefined) return before;
    const isKnown = (label: string): boolean => pod.known === 'all' || label === this.#snapshot.network.segmentLabel;
    const chosen = here.candidates.flatMap(({ policy, inNamespace }): readonly Chosen[] => {
      const answer = matchesPartly(policy.subject.pods, pod.labels, isKnown);
      return answer === 'no' ? [] : [{ policy, certain: answer === 'yes' && inNamespace === 'yes' }];
    });
    const standings: Standings = {
      ingress: formerOne('ingress', standing('ingress', chosen, here.namespace?.isolated ?? true), here.former),
      egress: formerOne('egress', standing('egress', chosen, false), here.former),
    };
    here.byLabels.set(key, standings);
    return standings;
  }

  /** What decides about an address whose pod nobody knows: whatever may isolate it does. */
  ofUnknown(): Standings {
    if (this.#unknown === undefined) {
      const chosen = this.#snapshot.policies.map((policy) => ({ policy, certain: false }));
      this.#unknown = { ingress: CLOSED, egress: standing('egress', chosen, false) };
    }
    return this.#unknown;
  }

  #readNamespace(name: string): NamespacePolicies {
    const read = this.#recall(name);
    this.#namespaces.set(name, read);
    return read;
  }

  #recall(name: string): NamespacePolicies {
    const namespace = this.#snapshot.namespaces.get(name);
    const named = this.#byNamespace.get(name) ?? [];
    const policies = [...named, ...this.#bySelector];
    const before = this.#before.get(name);
    if (before?.namespace === namespace && before !== undefined && sameItems(before.policies, policies)) {
      return before.byLabels.size <= MAX_CLASSES ? before : { ...before, byLabels: new Map() };
    }
    const candidates = policies.flatMap((policy, index): readonly Candidate[] => {
      if (index < named.length) return [{ policy, inNamespace: 'yes' }];
      const inNamespace = selectsNamespace(this.#snapshot, policy.subject.namespaces, name);
      return inNamespace === 'no' ? [] : [{ policy, inNamespace }];
    });
    const keys = new Set(candidates.flatMap(({ policy }) => policy.subject.pods.requirements.map((r) => r.key)));
    const former = [...(before?.byLabels.values() ?? [])];
    return { namespace, policies, candidates, keys: [...keys], byLabels: new Map(), former };
  }
}

/** What labels came to last, by the maps that hold them: a pod has the same one as long as it is not edited. */
const found = new WeakMap<Labels, { here: NamespacePolicies; known: KnownLabels['known']; standings: Standings }>();

/** Each of them once. */
function once(names: readonly string[]): Iterable<string> {
  return names.length < 2 ? names : new Set(names);
}

/** The one of `former` that says the same as `now`, so that what was made of it can be told by it. */
function formerOne(
  direction: Direction,
  now: Standing | undefined,
  former: readonly Standings[],
): Standing | undefined {
  return former.find((one) => sameStanding(one[direction], now))?.[direction] ?? now;
}

function sameStanding(a: Standing | undefined, b: Standing | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.isolated === b.isolated &&
    sameItems(a.policies, b.policies) &&
    sameChosen(a.admin, b.admin) &&
    sameChosen(a.baseline, b.baseline)
  );
}

function sameChosen(a: readonly Chosen[], b: readonly Chosen[]): boolean {
  const same = (one: Chosen, other: Chosen | undefined): boolean =>
    one.policy === other?.policy && one.certain === other.certain;
  return a.length === b.length && a.every((one, index) => same(one, b[index]));
}

/** Equal for pods that are alike in the labels `keys`. */
function classOf({ labels, known }: KnownLabels, keys: readonly string[]): string {
  let key: string = known;
  for (const name of keys) {
    const value = labels.get(name);
    key += value === undefined ? ' -' : ` ${value.length}:${value}`;
  }
  return key;
}

/** Nothing is allowed: nobody selects it for certain. */
const CLOSED: Standing = { admin: [], isolated: true, policies: [], baseline: [] };

function standing(direction: Direction, chosen: readonly Chosen[], annotated: boolean): Standing | undefined {
  const isolates = ({ policy }: Chosen): boolean => policy.isolates[direction];
  const says = ({ policy }: Chosen): boolean => policy[direction].length > 0;
  const isolated = annotated || chosen.some(isolates);
  const tier = (source: Policy['source']): readonly Chosen[] =>
    chosen
      .filter((each) => each.policy.source === source && says(each))
      .sort((a, b) => comparePriority(a.policy, b.policy));
  const [admin, baseline] = [tier('admin'), tier('baseline')];
  if (!isolated && admin.length + baseline.length === 0) return undefined;
  // A v1 policy says nothing of a direction that it does not isolate; a demo policy isolates none and opens all the same.
  const allowing = chosen.filter(
    (each) => each.certain && (isolates(each) || (each.policy.source === 'demo' && says(each))),
  );
  // What is not isolated goes on to be allowed, unless the Baseline tier has something to say.
  const policies = isolated || baseline.length > 0 ? allowing.map(({ policy }) => policy) : [];
  return { admin, isolated, policies: policies.sort(byName), baseline };
}

/** In one order, whichever one they were seen in: a list that was read again must change no rule. */
function byName(a: Policy, b: Policy): number {
  if (a.ref.name !== b.ref.name) return a.ref.name < b.ref.name ? -1 : 1;
  if (a.ref.namespace !== b.ref.namespace) return a.ref.namespace < b.ref.namespace ? -1 : 1;
  return Number(a.source > b.source) - Number(a.source < b.source);
}
