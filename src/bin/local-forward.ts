import { Command } from 'commander';

import { createForwarder } from '../local/kubernetes/forwarder.ts';
import { startDaemon } from './daemon.ts';

interface Options {
  readonly listenFd: string;
  readonly to: string;
  readonly logLevel: string;
}

/** `romana local-forward`: hands connections to this machine on to the API server in its network namespace. */
export function command(): Command {
  return new Command('local-forward')
    .requiredOption('--listen-fd <number>', 'a listening socket that was inherited')
    .requiredOption('--to <address:port>', 'where its connections go')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action((options: Options) => {
      const { log, signal } = startDaemon('forward', options.logLevel);
      const colon = options.to.lastIndexOf(':');
      const host = options.to.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
      const server = createForwarder({ host, port: Number(options.to.slice(colon + 1)) });
      server.listen({ fd: Number(options.listenFd) });
      log.info({ to: options.to }, 'forwards');
      signal.addEventListener('abort', () => process.exit(0));
    });
}
