import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { Command } from 'commander';

import { obeyAll, serve } from '../cli/check/pod-program.ts';
import { systemClock } from '../lib/clock.ts';

/** How long anything in the network may take to come back: a lost SYN is sent again after 1 s. In milliseconds. */
const PATIENCE_MS = 3_000;

interface ServeOptions {
  readonly name: string;
  readonly listen: readonly string[];
  readonly open: string;
  readonly shut: string;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** `romana check-pod`: what runs in the pods of `romana check`. */
export function command(): Command {
  const command = new Command('check-pod').description('What runs in the pods of a connectivity check.');
  command
    .command('serve')
    .description('Answers over TCP and UDP at two ports, and says as JSON where.')
    .requiredOption('--name <name>', 'what it says it is')
    .option('--listen <address>', 'an address to listen at, instead of all', collect, [])
    .option('--open <port>', 'a port, 0 for any that is free', '0')
    .option('--shut <port>', 'another', '0')
    .action(async (options: ServeOptions) => {
      // Process 1 of a container has no default action for signals.
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
      const { name, listen } = options;
      const doors = await serve({ name, addresses: listen, open: Number(options.open), shut: Number(options.shut) });
      process.stdout.write(`${JSON.stringify(doors)}\n`);
    });
  command
    .command('obey')
    .description('Does the orders of one line of JSON, and answers with another.')
    .action(async () => {
      const around = {
        clock: systemClock,
        resolvConf: () => readFileSync('/etc/resolv.conf', 'utf8'),
        word: randomUUID,
        patienceMs: PATIENCE_MS,
      };
      process.stdout.write(`${JSON.stringify(await obeyAll(process.stdin, around))}\n`);
      process.stdin.destroy(); // Its end may never come.
    });
  return command;
}
