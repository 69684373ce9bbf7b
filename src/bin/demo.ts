import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';

import { Command } from 'commander';

import { runDemo } from '../cli/demo/demo.ts';
import { execInPod } from '../kube/exec.ts';
import { systemClock } from '../lib/clock.ts';
import { clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';
import { endBySignal } from './early-end.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const POLICY = `${CHECKOUT}/deploy/demo/pol1.json`;

interface Options {
  readonly kubeconfig?: string;
  readonly name?: string;
  readonly image: string;
  readonly step?: boolean;
  readonly yes?: boolean;
}

/** `romana demo`. */
export function command(): Command {
  return clusterOptions(new Command('demo'))
    .description(
      "The founding page's demo: pods reach each other, isolated tenants do not, a policy opens exactly what it says. Makes pods in default, tenant-a and tenant-b and removes what it made. Status 0 if everything was as expected.",
    )
    .option('--image <image>', 'nginx, by the name that the nodes get it by', 'nginx')
    .option('--step', 'wait for Enter before each step')
    .option('--yes', 'go on without asking when the cluster was found through ~/.kube/config')
    .action(async (options: Options) => {
      process.exitCode = await demo(options);
    });
}

async function demo(options: Options): Promise<number> {
  const { client, cluster } = await connect(options);
  const end = endBySignal();
  const enter = options.step === true ? enterKey(end.signal) : undefined;
  try {
    if (cluster.foundBy === 'home' && options.yes !== true) {
      process.stderr.write(`romana demo: this is ${cluster.describe}; give --yes to run the demo there\n`);
      return 2;
    }
    const good = await runDemo({
      client,
      clock: systemClock,
      paper: process.stdout,
      exec: (namespace, pod, words) => execInPod(cluster.connection, { namespace, pod, command: words }),
      execWords: (namespace, pod) =>
        cluster.foundBy === 'flag' || cluster.foundBy === 'env' || cluster.foundBy === 'home'
          ? `${program()} exec${kubeconfigWords(options)} ${namespace}/${pod} --`
          : `${program()} local exec${nameWords(options)} ${namespace}/${pod} --`,
      romana: (subcommand) => `${program()} ${subcommand}${kubeconfigWords(options)}${nameWords(options)}`,
      policy: { path: shortest(POLICY), text: readFileSync(POLICY, 'utf8') },
      image: options.image,
      cluster: cluster.describe,
      pause: async () => enter?.wait(),
      signal: end.signal,
    });
    return good ? 0 : 1;
  } catch (error) {
    if (error !== end.signal.reason) throw error;
    process.stderr.write(`romana demo: ${(error as Error).message}\n`);
    return end.status();
  } finally {
    enter?.close();
    await client.close();
  }
}

/** Waits for Enter; at the end of the input, no more. */
function enterKey(signal: AbortSignal): { wait(): Promise<void>; close(): void } {
  const input = createInterface({ input: process.stdin, output: process.stdout });
  // On a terminal it reads Ctrl-C as a key; elsewhere it is a signal anyway.
  input.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  let open = true;
  const closed = new Promise<void>((resolve) => {
    input.once('close', () => {
      open = false;
      resolve();
    });
  });
  return {
    wait: async () => {
      if (open) await Promise.race([input.question('\n   Enter for the next step ', { signal }), closed]);
    },
    close: () => input.close(),
  };
}

/** The path as a person who stands here would type it. */
function shortest(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

function program(): string {
  return shortest(`${CHECKOUT}/bin/romana`);
}

function nameWords({ name }: Options): string {
  return name === undefined ? '' : ` --name ${name}`;
}

function kubeconfigWords({ kubeconfig }: Options): string {
  return kubeconfig === undefined ? '' : ` --kubeconfig ${kubeconfig}`;
}
