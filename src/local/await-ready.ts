import type { KubeClient } from '../kube/client.ts';
import { waitFor } from '../lib/wait-for.ts';
import { NODES } from '../objects/resources.ts';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';
import { conditionOf, nameOf, textAt } from './kube-json.ts';
import { bootIdOf, nodeProcess } from './nodes.ts';
import { isAlive } from './process-identity.ts';
import { initComplaint, ServiceLogs } from './service-logs.ts';

/** What is waited for, and for how long. */
export interface ReadyOptions {
  readonly layout: ClusterLayout;
  readonly nodes: readonly NodeLayout[];
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  /** How long all nodes may take to be ready, in milliseconds. */
  readonly readyMs: number;
  /** `registered`: nodes that have no network yet. Default `ready`. */
  readonly until?: 'ready' | 'registered';
}

/** A service that ended so often will not come up. */
const MAX_ENDS = 5;

/** Waits until the nodes are Ready, in this life of theirs. @throws Error that says which are not, and why */
export async function awaitReady(options: ReadyOptions): Promise<void> {
  let waiting = '';
  try {
    const until = options.until ?? 'ready';
    const what = until === 'ready' ? 'all nodes to be Ready' : 'all nodes to report';
    await awaitStart(options, what, async () => {
      const { items } = await options.client.list(NODES);
      const late = options.nodes.flatMap((node) => {
        const json = items.find((item) => nameOf(item) === node.name);
        if (json === undefined) return [`${node.name} is not registered`];
        if (textAt(json, 'status', 'nodeInfo', 'bootID') !== bootIdOf(node)) {
          return [`${node.name} has not reported since it was started`];
        }
        if (until === 'registered') return [];
        const ready = conditionOf(json, 'Ready');
        return ready?.status === 'True' ? [] : [`${node.name}: ${ready?.message ?? 'no condition yet'}`];
      });
      waiting = late.join('; ');
      return late.length === 0;
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(waiting === '' ? why : `${why} (${waiting})`, { cause });
  }
}

/** Waits for `condition`, and gives up early when a node or a service of one can't live. */
export async function awaitStart(
  options: Omit<ReadyOptions, 'client'>,
  what: string,
  condition: () => Promise<boolean>,
): Promise<void> {
  const { signal, readyMs } = options;
  const logs = new ServiceLogs(options.layout);
  let hopeless: string | undefined;
  await waitFor(
    what,
    async () => {
      signal.throwIfAborted();
      hopeless = findHopeless(options, logs);
      return hopeless !== undefined || (await condition());
    },
    { timeoutMs: readyMs, everyMs: 50, signal },
  );
  if (hopeless !== undefined) throw new Error(hopeless);
}

function findHopeless({ nodes }: Pick<ReadyOptions, 'nodes'>, logs: ServiceLogs): string | undefined {
  const names = new Set(nodes.map(({ name }) => name));
  const looping = logs.read().find((log) => names.has(log.node) && log.ends >= MAX_ENDS);
  if (looping !== undefined) return `${looping.service} on ${looping.node} ended ${looping.ends} times`;
  const dead = nodes.find((node) => {
    const first = nodeProcess(node);
    return first !== undefined && !isAlive(first);
  });
  return dead === undefined ? undefined : `process 1 of ${dead.name} ended: ${initComplaint(dead)}`;
}
