import type { Command } from 'commander';

/** The options by which every subcommand that asks a cluster is told which. */
export interface ClusterOptions {
  readonly kubeconfig?: string | undefined;
  readonly name?: string | undefined;
}

/** Adds `--kubeconfig` and `--name` to a subcommand. */
export function clusterOptions(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'the cluster of this kubeconfig')
    .option('--name <name>', 'the local cluster of this name');
}
