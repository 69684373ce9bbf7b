import { randomBytes } from 'node:crypto';
import type { ClusterLayout, NodeLayout } from '../cluster-layout.ts';
import type { ExecOptions } from '../exec.ts';
import { enterNode, runAttached, runningNode } from '../in-node.ts';
import { isOn } from '../nodes.ts';
import { IN_NODE } from '../services.ts';
import { ctr } from './load-image.ts';

/** A container that runs, and where. */
interface Found {
  readonly node: NodeLayout;
  /** containerd's. */
  readonly id: string;
}

/** Which container, and what to run there. */
export type ContainerCommand = Pick<ExecOptions, 'layout' | 'pod' | 'container' | 'command'>;

/**
 * Words of `nsenter` that run a command in a container of a pod, as its node's containerd knows it: no API server is
 * asked. @throws Error when no such container runs
 */
export async function containerdExec(
  options: ContainerCommand,
  flags: readonly string[] = [],
): Promise<readonly string[]> {
  const { layout, pod, container, command } = options;
  const { node, id } = await findContainer(layout, pod, container);
  const exec = ['--namespace', 'k8s.io', 'tasks', 'exec', ...flags, '--exec-id', randomBytes(8).toString('hex')];
  return [...enterNode(runningNode(node)), `${IN_NODE.programs}/bin/ctr`, ...exec, id, ...command];
}

/** Environment of containerd's client: without warnings of cgroup v1 and the like on standard error. */
export const CTR_ENVIRONMENT = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: '1',
} as const;

/** Runs a command in a container of a pod, attached to this process's input and output. */
export async function execInContainerd(options: ExecOptions): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY ? ['--tty'] : [];
  const words = await containerdExec(options, terminal);
  return runAttached('nsenter', words, { ...CTR_ENVIRONMENT, TERM: options.term === '' ? 'dumb' : options.term });
}

async function findContainer(
  layout: ClusterLayout,
  pod: ExecOptions['pod'],
  container: string | undefined,
): Promise<Found> {
  const name = `${pod.namespace}/${pod.name}`;
  const wanted: Record<string, string> = {
    'io.cri-containerd.kind': 'container',
    'io.kubernetes.pod.namespace': pod.namespace,
    'io.kubernetes.pod.name': pod.name,
    ...(container === undefined ? {} : { 'io.kubernetes.container.name': container }),
  };
  const filter = Object.entries(wanted)
    .map(([key, value]) => `labels.${JSON.stringify(key)}==${JSON.stringify(value)}`)
    .join(',');
  let known = false;
  for (const node of layout.nodes.filter(isOn)) {
    const ids = (await ctr(node, ['containers', 'ls', '--quiet', filter])).split('\n').filter((id) => id !== '');
    if (ids.length === 0) continue;
    known = true;
    const states = (await ctr(node, ['tasks', 'ls'])).split('\n').map((line) => line.trim().split(/\s+/));
    const id = ids.find((each) => states.some(([task, , state]) => task === each && state === 'RUNNING'));
    if (id !== undefined) return { node, id };
  }
  if (!known && container === undefined) throw new Error(`no node of cluster '${layout.name}' runs a pod ${name}`);
  throw new Error(
    container === undefined ? `no container of ${name} runs` : `no container '${container}' of ${name} runs`,
  );
}
