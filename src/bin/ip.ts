import { Command, Option } from 'commander';

import { ipCommand, type IpArguments } from '../cli/ip.ts';
import { clusterOptions } from './cluster-options.ts';
import { knownPlans } from './cluster.ts';

interface Options {
  readonly plan: readonly string[];
  readonly host?: string;
  readonly tenant?: string;
  readonly segment?: string;
  readonly endpoint?: string;
  readonly output: 'text' | 'json';
  readonly kubeconfig?: string;
  readonly name?: string;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** `romana ip`. */
export function command(): Command {
  return clusterOptions(new Command('ip'))
    .description('Says what the bits of a pod address mean, or makes the address that has the given fields.')
    .argument('[address]', 'an IPv4 or IPv6 address')
    .option(
      '--plan <plan>',
      "CIDR:HOST,TENANT,SEGMENT,ENDPOINT bits, once a family; without it the cluster's, else 10.0.0.0/8:8,4,4,8 and fd00:10::/64:16,16,16,16",
      collect,
      [],
    )
    .option('--host <id>', 'host id')
    .option('--tenant <id>', 'tenant id; 0 is the shared pool')
    .option('--segment <id>', 'segment id; 0 is the pods without a segment')
    .option('--endpoint <id>', 'endpoint id')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      '\nExamples:\n  romana ip 10.1.17.3\n  romana ip fd00:10::1:1:1:3 -o json\n  romana ip --host 1 --tenant 1 --segment 1 --endpoint 3',
    )
    .action(async (address: string | undefined, options: Options) => {
      const args: IpArguments = { address, ...options };
      process.exitCode = await ipCommand(args, {
        clusterPlans: () => knownPlans(options),
        stdout: process.stdout,
        stderr: process.stderr,
      });
    });
}
