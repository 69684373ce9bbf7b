import { diff, type ChangedPair } from '../../policy/diff.ts';
import { portsOf } from './matrix.ts';
import type { PolicyWorld } from './policy-world.ts';
import { readOffline } from './read-offline.ts';
import { BadInput, clusterIn, given, readWorld, withStatus, type PolicyDependencies } from './read-world.ts';

/** What a person typed behind `romana policy diff`. */
export interface DiffArguments {
  /** What is added, or takes the place of what has its kind, namespace and name. */
  readonly files: readonly string[];
  /** Empty: the cluster. */
  readonly base: readonly string[];
  /** `KIND/NAMESPACE/NAME`, or `KIND/NAME`. */
  readonly delete: readonly string[];
  /** Missing: all ports. */
  readonly ports?: string | undefined;
  readonly output: 'text' | 'json';
}

/** The objects of a world, to be changed. */
type Changed = {
  -readonly [K in 'namespaces' | 'nodes' | 'pods' | 'policies']: Map<
    string,
    PolicyWorld[K] extends ReadonlyMap<string, infer T> ? T : never
  >;
};

const MAX_LINES = 1_000;

function remove(world: Changed, what: string): void {
  const [kind = '', ...rest] = what.split('/');
  const name = rest.filter((part) => part !== '').join('/');
  const sets: Readonly<Record<string, readonly Map<string, unknown>[]>> = {
    Namespace: [world.namespaces],
    Node: [world.nodes],
    Pod: [world.pods],
    NetworkPolicy: [world.policies],
    ClusterNetworkPolicy: [world.policies],
  };
  const found = sets[kind];
  if (found === undefined) throw new BadInput(`--delete ${what}: KIND must be one of ${Object.keys(sets).join(', ')}`);
  // A demo policy has the same kind; it is meant where there is no other.
  const keys = kind.endsWith('Policy') ? [`${kind} ${name}`, `demo ${kind} ${name}`] : [name];
  const key = keys.find((one) => found.some((set) => set.has(one)));
  if (key === undefined) throw new BadInput(`--delete ${what}: there is no ${kind} ${name}`);
  for (const set of found) set.delete(key);
  if (kind !== 'Namespace') return;
  // What is in a namespace goes with it.
  for (const [pod, { meta }] of world.pods) if (meta.namespace === name) world.pods.delete(pod);
  for (const [policy, { ref }] of world.policies) if (ref.namespace === name) world.policies.delete(policy);
}

function changed(base: PolicyWorld, more: PolicyWorld | undefined, deleted: readonly string[]): Changed {
  const world: Changed = {
    namespaces: new Map(base.namespaces),
    nodes: new Map(base.nodes),
    pods: new Map(base.pods),
    policies: new Map(base.policies),
  };
  for (const what of deleted) remove(world, what);
  for (const [key, namespace] of more?.namespaces ?? []) world.namespaces.set(key, namespace);
  for (const [key, node] of more?.nodes ?? []) world.nodes.set(key, node);
  for (const [key, pod] of more?.pods ?? []) world.pods.set(key, pod);
  for (const [key, policy] of more?.policies ?? []) world.policies.set(key, policy);
  return world;
}

function lines(verb: string, pairs: readonly ChangedPair[]): readonly string[] {
  const shown = pairs.slice(0, MAX_LINES).map(({ from, to, ports }) => `${verb} ${from} -> ${to}: ${ports.join(', ')}`);
  const left = pairs.length - shown.length;
  return left === 0 ? shown : [...shown, `${verb} ${left} more pairs; -o json has all of them`];
}

/**
 * `romana policy diff`: which pairs a change would open, and which it would close, before it is applied.
 * Resolves to the exit status: 0 nothing opens, 1 something does, 2 bad input, or no cluster.
 */
export function diffCommand(args: DiffArguments, deps: PolicyDependencies): Promise<0 | 1 | 2> {
  return withStatus(deps, async () => {
    if (args.files.length === 0 && args.delete.length === 0) throw new BadInput('say what changes: -f or --delete');
    if (args.files.includes('-') && args.base.includes('-')) throw new BadInput('only one of -f and --base can be -');
    const ports = args.ports === undefined ? undefined : portsOf(args.ports);
    const base = await readWorld(args.base, deps);
    const more =
      args.files.length === 0 ? undefined : given(await readOffline({ files: args.files, stdin: deps.stdin }));
    for (const note of more?.notes ?? []) deps.stderr.write(`romana: ${note}\n`);
    const next = { segmentLabel: base.segmentLabel, ...changed(base, more, args.delete) };
    const difference = diff(clusterIn(base), clusterIn(next), ports);
    const { opens, closes } = difference;
    if (args.output === 'json') deps.stdout.write(`${JSON.stringify(difference)}\n`);
    else {
      const summary = `${opens.length} pairs open, ${closes.length} close`;
      deps.stdout.write(`${[...lines('opens', opens), ...lines('closes', closes), summary].join('\n')}\n`);
    }
    return opens.length === 0 ? 0 : 1;
  });
}
