import { Command, Option } from 'commander';

import { deniedCommand, deniedWatchCommand } from '../cli/policy/denied.ts';
import { diffCommand, type DiffArguments } from '../cli/policy/diff.ts';
import { explainCommand, type ExplainArguments } from '../cli/policy/explain.ts';
import { lintCommand, type LintArguments } from '../cli/policy/lint.ts';
import { matrixCommand } from '../cli/policy/matrix.ts';
import type { PolicyDependencies } from '../cli/policy/read-world.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';
import { systemClock } from '../lib/clock.ts';
import { listingCommand, namespaceOption, untilInterrupted, watchOption } from './lists.ts';
import { clusterOptions, type ClusterOptions } from './cluster-options.ts';

/** The options that all of them have. */
interface Options extends ClusterOptions {
  readonly file?: readonly string[];
}

function collect(path: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), path];
}

/** Runs one of the commands with the cluster that the options name, if it asks for one. */
async function run(options: ClusterOptions, command: (deps: PolicyDependencies) => Promise<number>): Promise<void> {
  let client: HttpKubeClient | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  try {
    process.exitCode = await command({
      // Offline nobody waits for an HTTP client to load.
      connect: async () => (client ??= (await (await import('./cluster.ts')).connect(options)).client),
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      clock: systemClock,
    });
  } finally {
    await client?.close();
  }
}

function subcommand(name: string, description: string, outputs: readonly [string, ...string[]]): Command {
  return clusterOptions(new Command(name))
    .description(description)
    .option(
      '-f, --file <path>',
      'a file or a directory of YAML or JSON, or - for standard input; may be repeated',
      collect,
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(outputs).default(outputs[0]));
}

type ExplainedEnds = Omit<ExplainArguments, 'files' | 'live'>;

function explain(): Command {
  const ends = 'NAMESPACE/POD, host:NODE or an address';
  return subcommand('explain', 'Says whether a connection is allowed, and which line of which policy decides.', [
    'text',
    'json',
  ])
    .requiredOption('--from <end>', `who connects: ${ends}`)
    .requiredOption('--to <end>', `to whom: ${ends}`)
    .requiredOption('--port <port>', 'TCP/80, UDP/dns (by name of a container port) or ICMP')
    .option(
      '--live',
      'asks the hosts, too: which chain and rule does it, and whether the kernel agrees; status 3 if not',
    )
    .action(({ file = [], live = false, ...options }: Options & Partial<ExplainArguments> & ExplainedEnds) =>
      run(options, (deps) => explainCommand({ ...options, live, files: file }, deps)),
    );
}

function matrix(): Command {
  return subcommand('matrix', 'Shows who may talk to whom: . is allowed, X denied.', ['table', 'json'])
    .option('--ports <list>', 'TCP/80,UDP/dns,...; without it those that containers declare')
    .action(({ file = [], ...options }: Options & { readonly ports?: string; readonly output: 'table' | 'json' }) =>
      run(options, (deps) => matrixCommand({ ...options, files: file }, deps)),
    );
}

function diff(): Command {
  return subcommand(
    'diff',
    'Shows which pairs a change would open, and which it would close; status 1 if it opens any.',
    ['text', 'json'],
  )
    .option('--base <path>', 'what there is: files instead of the cluster; may be repeated', collect)
    .option('--delete <object>', 'KIND/NAMESPACE/NAME to remove; may be repeated', collect)
    .option('--ports <list>', 'TCP/80,UDP/dns,...; without it all ports are compared')
    .action(
      ({
        file = [],
        base = [],
        delete: gone = [],
        ...options
      }: Options & Partial<Omit<DiffArguments, 'files' | 'output'>> & Pick<DiffArguments, 'output'>) =>
        run(options, (deps) => diffCommand({ ...options, files: file, base, delete: gone }, deps)),
    );
}

function lint(): Command {
  return subcommand('lint', 'Finds policies that say nothing, or hardly what was meant; status 1 if there are any.', [
    'text',
    'json',
  ]).action(({ file = [], ...options }: Options & Pick<LintArguments, 'output'>) =>
    run(options, (deps) => lintCommand({ ...options, files: file }, deps)),
  );
}

function denied(): Command {
  const description =
    'Lists what policy denied in the last hour on any node, the latest last, with both ends and what denies.';
  return watchOption(
    namespaceOption(
      listingCommand('denied', description, (args, deps, { watch }) =>
        watch === true
          ? deniedWatchCommand(args, { ...deps, clock: systemClock, signal: untilInterrupted() })
          : deniedCommand(args, deps),
      ),
    ),
  );
}

/** `romana policy`. */
export function command(): Command {
  return new Command('policy')
    .description('Who may talk to whom, and why: of a cluster, or of files before anything is applied.')
    .addCommand(explain())
    .addCommand(matrix())
    .addCommand(diff())
    .addCommand(lint())
    .addCommand(denied());
}
