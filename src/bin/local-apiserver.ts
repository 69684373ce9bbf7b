import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Command } from 'commander';
import { parse } from 'yaml';

import { createApiServer } from '../local/apiserver/api-server.ts';
import { HttpNodeProxy } from '../local/apiserver/node-proxy.ts';
import { systemClock } from '../lib/clock.ts';
import { startDaemon } from './daemon.ts';

interface Options {
  readonly data: string;
  readonly listen: string;
  readonly listenFd?: string;
  readonly cert: string;
  readonly key: string;
  readonly tokens: string;
  readonly crds: readonly string[];
  readonly logLevel: string;
}

/** `romana local-apiserver`: the API server of a local cluster, with scheduler and namespace clean-up. */
export function command(): Command {
  return new Command('local-apiserver')
    .requiredOption('--data <directory>', 'where the database is')
    .requiredOption('--listen <address:port>', 'where to listen')
    .option('--listen-fd <number>', 'a listening socket that was inherited')
    .requiredOption('--cert <file>', 'certificate, PEM')
    .requiredOption('--key <file>', 'key, PEM')
    .requiredOption('--tokens <file>', 'JSON: [{"token","user"}, ...]')
    .requiredOption('--crds <directories...>', 'CustomResourceDefinitions, YAML')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options: Options) => {
      const { log, signal } = startDaemon('apiserver', options.logLevel);
      mkdirSync(options.data, { recursive: true, mode: 0o700 });
      const tokens = JSON.parse(readFileSync(options.tokens, 'utf8')) as { token: string; user: string }[];
      const parts = tokens.find(({ user }) => user === 'system:romana');
      const server = createApiServer({
        storage: join(options.data, 'objects.sqlite'),
        crds: options.crds.flatMap((directory) =>
          readdirSync(directory)
            .filter((file) => file.endsWith('.yaml'))
            .map((file): unknown => parse(readFileSync(join(directory, file), 'utf8'))),
        ),
        tokens,
        tls: { cert: readFileSync(options.cert, 'utf8'), key: readFileSync(options.key, 'utf8') },
        clock: systemClock,
        log,
        nodeProxy: parts === undefined ? undefined : new HttpNodeProxy({ token: parts.token }),
      });
      const colon = options.listen.lastIndexOf(':');
      const { port } = await server.listen({
        host: options.listen.slice(0, colon),
        port: Number(options.listen.slice(colon + 1)),
      });
      if (options.listenFd !== undefined) await server.listen({ fd: Number(options.listenFd) });
      log.info({ listen: options.listen, port }, 'serves');
      signal.addEventListener('abort', () => void server.close());
    });
}
