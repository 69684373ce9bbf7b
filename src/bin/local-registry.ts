import { Command } from 'commander';

import { startRegistry } from '../local/kubernetes/registry.ts';
import { startDaemon } from './daemon.ts';

interface Options {
  readonly listen: string;
  readonly images: readonly string[];
  readonly logLevel: string;
}

/** `romana local-registry`: the images of a local cluster that is a real Kubernetes. */
export function command(): Command {
  return new Command('local-registry')
    .requiredOption('--listen <address:port>', 'where to listen')
    .requiredOption(
      '--images <directory>',
      'OCI archives (*.tar); may be given again',
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options: Options) => {
      const { log, signal } = startDaemon('registry', options.logLevel);
      const colon = options.listen.lastIndexOf(':');
      const registry = await startRegistry({
        host: options.listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
        port: Number(options.listen.slice(colon + 1)),
        directories: options.images,
        log,
      });
      log.info({ listen: options.listen, port: registry.port }, 'serves');
      signal.addEventListener('abort', () => void registry.close());
    });
}
