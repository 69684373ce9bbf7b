import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';
import { enterNode, runAttached, runningNode } from './in-node.ts';
import { nodePath } from './nodes.ts';
import { IN_NODE } from './services.ts';

/** What `shell` needs. */
export interface ShellOptions {
  readonly layout: ClusterLayout;
  readonly node: string;
  /** What to run there; empty: an interactive shell. */
  readonly command: readonly string[];
  readonly checkout: string;
  /** Of the caller's terminal; '' when there is none. */
  readonly term: string;
}

/** Runs a shell, or a command, in a node, as root there, and returns its exit status. */
export async function shell(options: ShellOptions): Promise<number> {
  const { layout, checkout, command } = options;
  const node = findNode(layout, options.node);
  const env = {
    PATH: nodePath(layout, checkout),
    HOME: '/root',
    LANG: 'C.UTF-8',
    TERM: options.term === '' ? 'dumb' : options.term,
    KUBECONFIG: IN_NODE.peopleKubeconfig,
    PS1: `${layout.name}/${node.name}:\\w# `,
  };
  // Without its start files, which could set another PATH, a shell of the node finds what the node has.
  const words =
    command.length === 0 ? ['sh', '-c', 'if command -v bash >/dev/null; then exec bash --norc; fi; exec sh'] : command;
  return runAttached('nsenter', [...enterNode(runningNode(node)), ...words], env);
}

/** The node of that name. @throws Error that names those there are. */
export function findNode(layout: ClusterLayout, name: string): NodeLayout {
  const found = layout.nodes.find((node) => node.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no node '${name}'; there are ${layout.nodes.map((node) => node.name).join(', ')}`);
}
