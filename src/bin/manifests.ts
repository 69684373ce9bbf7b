import { Command } from 'commander';

import type { ApplyArguments, ApplyDependencies } from '../cli/apply.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';
import { systemClock } from '../lib/clock.ts';
import { clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';

interface Options {
  readonly file: readonly string[];
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly name?: string;
}

/** A subcommand that does something with the objects of files. */
export function manifestCommand(
  name: string,
  description: string,
  run: (args: ApplyArguments, deps: ApplyDependencies) => Promise<number>,
): Command {
  return clusterOptions(new Command(name))
    .description(description)
    .requiredOption(
      '-f, --file <path>',
      'a file or a directory of YAML or JSON, or - for standard input; may be repeated',
      (path: string, before: readonly string[] | undefined) => [...(before ?? []), path],
    )
    .option('-n, --namespace <name>', 'namespace of objects that name none')
    .action(async ({ file, ...options }: Options) => {
      let client: HttpKubeClient | undefined;
      process.exitCode = await run(
        { files: file, namespace: options.namespace },
        {
          connect: async () => (client = (await connect(options)).client),
          stdin: process.stdin,
          stdout: process.stdout,
          stderr: process.stderr,
          clock: systemClock,
        },
      );
      await client?.close();
    });
}
