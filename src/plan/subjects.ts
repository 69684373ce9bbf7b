import { matchesPartly } from '../objects/selector.ts';
import type { Answer } from '../objects/selector.ts';
import type { Labels } from '../objects/meta.ts';
import type { Direction, Policy } from '../policy/model.ts';
import { comparePriority } from '../policy/world.ts';
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

interface Candidate {
  readonly policy: Policy;
  /** Whether the policy means pods of the namespace; never `no`. */
  readonly inNamespace: Answer;
}

interface NamespacePolicies {
  readonly isolated: boolean;
  readonly candidates: readonly Candidate[];
  /** Labels that any of the policies asks for: pods alike in these are alike to all of them. */
  readonly keys: readonly string[];
  readonly byLabels: Map<string, Standings>;
}

/**
 * Finds the policies that select pods, each class of pods with equal labels once. As `evaluate` has it: a policy that
 * only may select a pod, because not all of its labels are known, isolates it and allows it nothing.
 */
export class Subjects {
  readonly #snapshot: Snapshot;
  readonly #byNamespace = new Map<string, Policy[]>();
  readonly #bySelector: Policy[] = [];
  readonly #namespaces = new Map<string, NamespacePolicies>();

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    for (const policy of snapshot.policies) {
      const { namespaces } = policy.subject;
      if (namespaces.kind === 'selector') this.#bySelector.push(policy);
      for (const name of namespaces.kind === 'names' ? new Set(namespaces.names) : []) {
        const list = this.#byNamespace.get(name);
        if (list === undefined) this.#byNamespace.set(name, [policy]);
        else list.push(policy);
      }
    }
  }

  /** What decides about a pod of `namespace`. A namespace that is not known is isolated. */
  of(namespace: string, pod: KnownLabels): Standings {
    const here = this.#namespaces.get(namespace) ?? this.#readNamespace(namespace);
    const key = classOf(pod, here.keys);
    const before = here.byLabels.get(key);
    if (before !== undefined) return before;
    const isKnown = (label: string): boolean => pod.known === 'all' || label === this.#snapshot.network.segmentLabel;
    const chosen = here.candidates.flatMap(({ policy, inNamespace }): readonly Chosen[] => {
      const answer = matchesPartly(policy.subject.pods, pod.labels, isKnown);
      return answer === 'no' ? [] : [{ policy, certain: answer === 'yes' && inNamespace === 'yes' }];
    });
    const standings: Standings = {
      ingress: standing('ingress', chosen, here.isolated),
      egress: standing('egress', chosen, false),
    };
    here.byLabels.set(key, standings);
    return standings;
  }

  /** What decides about an address whose pod nobody knows: whatever may isolate it does. */
  ofUnknown(): Standings {
    const chosen = this.#snapshot.policies.map((policy) => ({ policy, certain: false }));
    return { ingress: CLOSED, egress: standing('egress', chosen, false) };
  }

  #readNamespace(name: string): NamespacePolicies {
    const namespace = this.#snapshot.namespaces.get(name);
    const candidates: Candidate[] = (this.#byNamespace.get(name) ?? []).map((policy) => ({
      policy,
      inNamespace: 'yes',
    }));
    for (const policy of this.#bySelector) {
      const inNamespace = selectsNamespace(this.#snapshot, policy.subject.namespaces, name);
      if (inNamespace !== 'no') candidates.push({ policy, inNamespace });
    }
    const keys = new Set(candidates.flatMap(({ policy }) => policy.subject.pods.requirements.map((r) => r.key)));
    const read = { isolated: namespace?.isolated ?? true, candidates, keys: [...keys], byLabels: new Map() };
    this.#namespaces.set(name, read);
    return read;
  }
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
