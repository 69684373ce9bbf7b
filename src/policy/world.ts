import type { Labels } from '../objects/meta.ts';
import type { Answer } from '../objects/selector.ts';
import { selects, type Labelled } from './match.ts';
import type { Policy } from './model.ts';
import type { Party, PodParty } from './party.ts';

/** All that verdicts depend on. Never changed once made: `evaluate` keeps an index of it. */
export interface World extends Labelled {
  readonly policies: readonly Policy[];
}

/** A policy that selects somebody, for certain or perhaps. */
export interface Selecting {
  readonly policy: Policy;
  readonly subject: Exclude<Answer, 'no'>;
}

/** The policies that select somebody. */
export interface Selected {
  /** By priority, then name. */
  readonly admin: readonly Selecting[];
  /** Demo and v1 policies. */
  readonly middle: readonly Selecting[];
  /** By priority, then name. */
  readonly baseline: readonly Selecting[];
}

/** The policies of a world, by where they are looked for. */
export interface PolicyIndex {
  /** By priority, then name. */
  readonly admin: readonly Policy[];
  readonly baseline: readonly Policy[];
  /** Demo and v1 policies that can select pods of `namespace`; all of them if that is not known. */
  of(namespace: string | undefined): readonly Policy[];
  /** Those that select `party`; looked for once for all parties that share one map of labels. */
  selecting(party: Party): Selected;
}

/** The order in which cluster policies of one tier are asked. */
export function comparePriority(a: Policy, b: Policy): number {
  return a.priority - b.priority || (a.ref.name < b.ref.name ? -1 : Number(a.ref.name > b.ref.name));
}

function inOrder(policies: readonly Policy[], source: Policy['source']): readonly Policy[] {
  return policies.filter((policy) => policy.source === source).sort(comparePriority);
}

function listIn(lists: Map<string, Policy[]>, key: string): Policy[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

/** The namespaced policies by the namespaces that they can select pods of. */
function byNamespace(policies: readonly Policy[]): PolicyIndex['of'] {
  const named = new Map<string, Policy[]>();
  const everywhere: Policy[] = [];
  for (const policy of policies) {
    const { namespaces } = policy.subject;
    if (namespaces.kind === 'selector') everywhere.push(policy);
    else for (const name of new Set(namespaces.names)) listIn(named, name).push(policy);
  }
  return (namespace) => {
    if (namespace === undefined) return policies;
    const own = named.get(namespace) ?? [];
    return everywhere.length === 0 ? own : [...own, ...everywhere];
  };
}

function among(world: World, policies: readonly Policy[], party: Party): readonly Selecting[] {
  return policies.flatMap((policy) => {
    const subject = selects(world, policy.subject, party);
    return subject === 'no' ? [] : [{ policy, subject }];
  });
}

/** What is found once for a map of labels: by namespace, and by what is known of the labels. */
class SelectedByLabels {
  readonly #find: (party: Party) => Selected;
  readonly #known = new WeakMap<Labels, Map<string, Selected>>();

  constructor(find: (party: Party) => Selected) {
    this.#find = find;
  }

  of(party: PodParty): Selected {
    const { labels, namespace, known } = party;
    const found = this.#known.get(labels) ?? new Map<string, Selected>();
    this.#known.set(labels, found);
    const key = `${known} ${namespace}`;
    const before = found.get(key);
    if (before !== undefined) return before;
    const selected = this.#find(party);
    found.set(key, selected);
    return selected;
  }
}

function makeIndex(world: World): PolicyIndex {
  const of = byNamespace(world.policies.filter((policy) => policy.source === 'demo' || policy.source === 'v1'));
  const admin = inOrder(world.policies, 'admin');
  const baseline = inOrder(world.policies, 'baseline');
  const find = (party: Party): Selected => ({
    admin: among(world, admin, party),
    middle: among(world, of(party.kind === 'pod' ? party.namespace : undefined), party),
    baseline: among(world, baseline, party),
  });
  const byLabels = new SelectedByLabels(find);
  return { admin, baseline, of, selecting: (party) => (party.kind === 'pod' ? byLabels.of(party) : find(party)) };
}

const indexes = new WeakMap<World, PolicyIndex>();

/** The index of `world`, made at the first call. */
export function indexOf(world: World): PolicyIndex {
  const known = indexes.get(world);
  if (known !== undefined) return known;
  const made = makeIndex(world);
  indexes.set(world, made);
  return made;
}
