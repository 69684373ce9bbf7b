import { resolve } from 'node:path';
import { Command } from 'commander';

import { readDeployManifests } from '../cli/install/deploy-manifests.ts';
import { uninstallCommand } from '../cli/install/uninstall.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';
import { type ClusterOptions, clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';

const DEPLOY = resolve(import.meta.dirname, '../../deploy');
const MAX_SECONDS = 3_600;

interface Options extends ClusterOptions {
  readonly force?: boolean;
  readonly timeout: string;
}

/** `romana uninstall`. */
export function command(): Command {
  return clusterOptions(new Command('uninstall'))
    .description(
      'Removes Romana from a cluster and leaves its nodes as they were. Refuses while pods have addresses of Romana. ' +
        'Removes its objects too, the policies of demo.romana.io among them. Can be called again.',
    )
    .option(
      '--force',
      'deletes the pods that have addresses of Romana, and leaves alone nodes that do not answer in time',
    )
    .option('--timeout <seconds>', 'how long nodes may take to be done', '180')
    .action(async (options: Options) => {
      const seconds = Number(options.timeout);
      if (!(seconds >= 1 && seconds <= MAX_SECONDS)) {
        process.stderr.write(
          `romana: --timeout ${options.timeout}: it is a number of seconds from 1 to ${MAX_SECONDS}\n`,
        );
        process.exitCode = 2;
        return;
      }
      let client: HttpKubeClient | undefined;
      try {
        process.exitCode = await uninstallCommand(
          { force: options.force ?? false, timeoutMs: seconds * 1_000 },
          {
            connect: async () => (client = (await connect(options)).client),
            manifests: () => readDeployManifests(DEPLOY),
            stderr: process.stderr,
          },
        );
      } finally {
        await client?.close();
      }
    });
}
