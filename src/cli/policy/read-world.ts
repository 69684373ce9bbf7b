import type { KubeClient } from '../../kube/client.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Result } from '../../lib/result.ts';
import { clusterOf, type Cluster } from '../../policy/cluster.ts';
import type { PolicyWorld } from './policy-world.ts';
import { readLive } from './read-live.ts';
import { readOffline } from './read-offline.ts';

/** What the policy commands work with. */
export interface PolicyDependencies {
  /** @throws Error that says where a cluster was looked for */
  connect(): Promise<Pick<KubeClient, 'list' | 'get' | 'create' | 'delete'>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly clock: Clock;
}

/** A fault of what was given, of which one line says everything. */
export class BadInput extends Error {}

/** The value, or a `BadInput`. */
export function given<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new BadInput(result.error);
}

/** Reads the world of these files, or without any that of the cluster; its notes go to stderr. @throws BadInput, Error */
export async function readWorld(files: readonly string[], deps: PolicyDependencies): Promise<PolicyWorld> {
  const world =
    files.length === 0 ? await readLive(await deps.connect()) : given(await readOffline({ files, stdin: deps.stdin }));
  for (const note of world.notes) deps.stderr.write(`romana: ${note}\n`);
  return world;
}

/** The world put together, so that it can be asked. */
export function clusterIn({
  segmentLabel,
  namespaces,
  nodes,
  pods,
  policies,
}: Omit<PolicyWorld, 'ranges' | 'places' | 'notes'>): Cluster {
  return clusterOf({
    segmentLabel,
    namespaces: [...namespaces.values()],
    nodes: [...nodes.values()],
    pods: [...pods.values()],
    policies: [...policies.values()],
  });
}

/** Runs a command whose failures of any kind have status 2: 1 is an answer. */
export async function withStatus<T extends number>(deps: PolicyDependencies, run: () => Promise<T>): Promise<T | 2> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) throw error;
    deps.stderr.write(`romana: ${error.message}\n`);
    return 2;
  }
}
