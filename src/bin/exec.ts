import { Command } from 'commander';

import { execInPod } from '../kube/exec.ts';
import { clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';

interface Options {
  readonly kubeconfig?: string;
  readonly name?: string;
  readonly container?: string;
}

/** `romana exec`: through the API server, so on any cluster. */
export function command(): Command {
  return clusterOptions(new Command('exec'))
    .description('Runs a command in a pod, through the API server, with its output and exit status.')
    .argument('<namespace/pod>', 'a name alone is in the namespace default')
    .argument('<command...>', 'after --')
    .option('-c, --container <name>', 'a container of the pod, if not the first')
    .action(async (pod: string, words: readonly string[], options: Options) => {
      const [namespace, name] = pod.includes('/') ? pod.split('/', 2) : ['default', pod];
      const { client, cluster } = await connect(options);
      try {
        const { exitCode } = await execInPod(cluster.connection, {
          namespace: namespace ?? '',
          pod: name ?? '',
          container: options.container,
          command: words,
          onStdout: (chunk) => void process.stdout.write(chunk),
          onStderr: (chunk) => void process.stderr.write(chunk),
        });
        process.exitCode = exitCode;
      } finally {
        await client.close();
      }
    });
}
