import { Command, Option } from 'commander';

import type { ListArguments, ListDependencies, Output } from '../cli/listing.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';
import { clusterOptions } from './cluster-options.ts';

/** What a person typed. */
export interface ListOptions {
  readonly output: Output;
  readonly namespace?: string;
  readonly watch?: boolean;
  readonly kubeconfig?: string;
  readonly name?: string;
}

/** A subcommand that shows something of a cluster as a table, as JSON or as YAML. */
export function listingCommand(
  name: string,
  description: string,
  run: (args: ListArguments, deps: ListDependencies, options: ListOptions) => Promise<number>,
): Command {
  return clusterOptions(new Command(name))
    .description(description)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table'))
    .action(async (options: ListOptions) => {
      let client: HttpKubeClient | undefined;
      endWithReader();
      try {
        const { output, namespace } = options;
        process.exitCode = await run(
          { output, namespace },
          {
            // Who lists nothing does not wait for an HTTP client to load.
            connect: async () => (client = (await (await import('./cluster.ts')).connect(options)).client),
            stdout: process.stdout,
            stderr: process.stderr,
          },
          options,
        );
      } finally {
        await client?.close();
      }
    });
}

/** Adds `-n` to a subcommand. */
export function namespaceOption(command: Command): Command {
  return command.option('-n, --namespace <name>', 'of this namespace alone');
}

/** Adds `-w` to a subcommand. */
export function watchOption(command: Command): Command {
  return command.option('-w, --watch', 'goes on with every change, until Ctrl-C');
}

/** Ends what is watched, without a failure. */
export function untilInterrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
}

/** Whoever reads our output may stop, as `head` does; that is no failure of ours. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}
