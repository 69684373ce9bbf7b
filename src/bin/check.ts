import { randomBytes } from 'node:crypto';

import { Command, InvalidArgumentError, Option } from 'commander';

import { runCheck } from '../cli/check/check.ts';
import { formatReport } from '../cli/check/report.ts';
import { parseTarget, type Target } from '../cli/check/world.ts';
import type { Output } from '../cli/listing.ts';
import { execInPod } from '../kube/exec.ts';
import { systemClock } from '../lib/clock.ts';
import { type ClusterOptions, clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';
import { endBySignal } from './early-end.ts';
import { VERSION } from './version.ts';

/** Not everything is checked in large clusters, where what is done would grow with the square of the nodes. */
const DEFAULT_NODES = 8;
/** Longer than this no check may take: pods of a check that is killed end by themselves. In seconds. */
const MAX_PATIENCE_SECONDS = 600;

interface Options extends ClusterOptions {
  readonly nodes: number;
  readonly image?: string;
  readonly outside?: readonly Target[];
  readonly timeout: number;
  readonly output: Output;
}

/** `romana check`. */
export function command(): Command {
  return clusterOptions(new Command('check'))
    .description(
      'Whether the network does what it should: makes pods of Romana\'s own image on the nodes, in two namespaces "romana-check-...", has them talk with each other, with the nodes, the API server, DNS and outside, over TCP and UDP, tries what a policy forbids, and removes them. Status 0 when all was as expected, 1 when not.',
    )
    .option('--nodes <n>', 'at most so many nodes', wholeNumber(1, 100), DEFAULT_NODES)
    .option('--image <image>', "what the pods run, if not the agents' image")
    .option(
      '--outside <address:port>',
      "what pods must reach outside, by TCP; may be given many times; else the API server's own address, where it is no node's",
      (text: string, before: readonly Target[] | undefined) => [...(before ?? []), target(text)],
    )
    .option('--timeout <seconds>', 'how long pods may take to run', wholeNumber(1, MAX_PATIENCE_SECONDS), 120)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table'))
    .action(async (options: Options) => {
      process.exitCode = await check(options);
    });
}

async function check(options: Options): Promise<number> {
  const { client, cluster } = await connect(options);
  const end = endBySignal();
  try {
    const report = await runCheck({
      client,
      clock: systemClock,
      exec: (namespace, pod, words, input) =>
        execInPod(cluster.connection, { namespace, pod, command: words, stdin: once(input), signal: end.signal }),
      word: randomBytes(4).readUInt32BE().toString(36).padStart(7, '0').slice(-5),
      image: options.image,
      otherwise: `romana:${VERSION}`,
      maxNodes: options.nodes,
      outside: options.outside,
      patienceMs: options.timeout * 1_000,
      progress: (line) => void process.stderr.write(`${line}\n`),
      signal: end.signal,
    });
    process.stdout.write(formatReport(report, options.output));
    return report.good ? 0 : 1;
  } catch (error) {
    if (error !== end.signal.reason) throw error;
    process.stderr.write(`romana check: ${(error as Error).message}\n`);
    return end.status();
  } finally {
    await client.close();
  }
}

async function* once(input: string): AsyncGenerator<string> {
  yield input;
}

function target(text: string): Target {
  try {
    return parseTarget(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max)
      throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}`);
    return number;
  };
}
