import type { Policy } from './model.ts';
import type { Labelled } from './match.ts';

/** All that verdicts depend on. Never changed once made: `evaluate` keeps an index of it. */
export interface World extends Labelled {
  readonly policies: readonly Policy[];
}

/** The policies of a world, by where they are looked for. */
export interface PolicyIndex {
  /** By priority, then name. */
  readonly admin: readonly Policy[];
  readonly baseline: readonly Policy[];
  /** Demo and v1 policies that can select pods of `namespace`; all of them if that is not known. */
  of(namespace: string | undefined): readonly Policy[];
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

function makeIndex(world: World): PolicyIndex {
  const namespaced = world.policies.filter((policy) => policy.source === 'demo' || policy.source === 'v1');
  const byNamespace = new Map<string, Policy[]>();
  const everywhere: Policy[] = [];
  for (const policy of namespaced) {
    const { namespaces } = policy.subject;
    if (namespaces.kind === 'selector') everywhere.push(policy);
    else for (const name of new Set(namespaces.names)) listIn(byNamespace, name).push(policy);
  }
  return {
    admin: inOrder(world.policies, 'admin'),
    baseline: inOrder(world.policies, 'baseline'),
    of(namespace) {
      if (namespace === undefined) return namespaced;
      const named = byNamespace.get(namespace) ?? [];
      return everywhere.length === 0 ? named : [...named, ...everywhere];
    },
  };
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
