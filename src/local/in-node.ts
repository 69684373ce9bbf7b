import { spawn } from 'node:child_process';
import type { NodeLayout } from './cluster-layout.ts';
import { nodeProcess } from './nodes.ts';
import { isAlive } from './process-identity.ts';

/** The pid of a node's process 1, on the machine. @throws Error when the node does not run. */
export function runningNode(node: NodeLayout): number {
  const first = nodeProcess(node);
  if (first === undefined || !isAlive(first)) throw new Error(`${node.name} does not run (its process 1 is gone)`);
  return first.pid;
}

/** Words of `nsenter` that go into all namespaces of a node. */
export function enterNode(pid: number): readonly string[] {
  return ['--target', String(pid), '--mount', '--pid', '--net', '--uts', '--ipc', '--'];
}

/**
 * Runs a command with this process's standard input, output and error and returns its exit status; 128 + N when
 * signal N ended it, as shells count.
 */
export function runAttached(file: string, args: readonly string[], env: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', env });
    child.on('error', (cause) => reject(new Error(`can't run ${file}: ${cause.message}`, { cause })));
    child.on('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGQUIT: 3,
    SIGKILL: 9,
    SIGTERM: 15,
  };
  return signal === null ? 0 : (numbers[signal] ?? 0);
}
