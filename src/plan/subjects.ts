import { matchesPartly } from '../objects/selector.ts';
import type { Answer } from '../objects/selector.ts';
import type { Labels } from '../objects/meta.ts';
import type { Direction, Policy } from '../policy/model.ts';
import { selectsNamespace } from './selects-namespace.ts';
import type { Snapshot } from './snapshot.ts';

/** What is known of the labels of a pod: all of them, or only whether it has the segment label, and its value. */
export interface KnownLabels {
  readonly labels: Labels;
  readonly known: 'all' | 'segment';
}

/** An isolated direction of a pod: these policies select it and may allow, nothing else does. By name. */
export interface Standing {
  readonly policies: readonly Policy[];
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
      if (policy.source !== 'demo' && policy.source !== 'v1') continue;
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
    const selecting: Candidate[] = [];
    const perhaps: Policy[] = [];
    for (const candidate of here.candidates) {
      const answer = matchesPartly(candidate.policy.subject.pods, pod.labels, isKnown);
      if (answer === 'no') continue;
      if (answer === 'yes' && candidate.inNamespace === 'yes') selecting.push(candidate);
      else perhaps.push(candidate.policy);
    }
    const certain = selecting.map(({ policy }) => policy);
    const standings: Standings = {
      ingress: standing('ingress', certain, perhaps, here.isolated),
      egress: standing('egress', certain, perhaps, false),
    };
    here.byLabels.set(key, standings);
    return standings;
  }

  /** What decides about an address whose pod nobody knows: whatever may isolate it does. */
  ofUnknown(): Standings {
    const closed = this.#snapshot.policies.some((policy) => policy.isolates.egress);
    return { ingress: { policies: [] }, egress: closed ? { policies: [] } : undefined };
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

function standing(
  direction: Direction,
  certain: readonly Policy[],
  perhaps: readonly Policy[],
  isolated: boolean,
): Standing | undefined {
  const isolates = (policy: Policy): boolean => policy.isolates[direction];
  if (!isolated && !certain.some(isolates) && !perhaps.some(isolates)) return undefined;
  // A v1 policy says nothing of a direction that it does not isolate; a demo policy isolates none and opens all the same.
  const allowing = certain.filter((p) => isolates(p) || (p.source === 'demo' && p[direction].length > 0));
  return { policies: allowing.sort(byName) };
}

/** In one order, whichever one they were seen in: a list that was read again must change no rule. */
function byName(a: Policy, b: Policy): number {
  if (a.ref.name !== b.ref.name) return a.ref.name < b.ref.name ? -1 : 1;
  if (a.ref.namespace !== b.ref.namespace) return a.ref.namespace < b.ref.namespace ? -1 : 1;
  return Number(a.source > b.source) - Number(a.source < b.source);
}
