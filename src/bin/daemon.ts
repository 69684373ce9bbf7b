import { isIP } from 'node:net';

import type { Command } from 'commander';
import { destination, pino } from 'pino';

import { isFailureOfServer } from '../kube/client.ts';
import type { Log } from '../lib/log.ts';
import { VERSION } from './version.ts';

/** What every daemon has of its process: a log on standard output and a signal that ends it. */
export interface Daemon {
  readonly log: Log;
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
}

/** Sets a daemon up. `level` is pino's: debug, info, warn, error. */
export function startDaemon(name: string, level: string): Daemon {
  const log = pino(
    { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: errorForLog } },
    destination({ sync: true }),
  );
  log.info({ version: VERSION }, 'starts');
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'ends');
      end.abort(new Error(`ended by ${signal}`));
    });
  }
  return { log, signal: end.signal };
}

/** Where a daemon serves metrics and health, as options. */
export interface HealthWords {
  readonly port: string;
  readonly bind?: string;
}

/** Adds `--port` and `--bind` to a daemon. */
export function healthOptions(command: Command, port: number): Command {
  return command
    .option('--port <number>', 'TCP port of metrics and health', `${port}`)
    .option('--bind <address>', 'the only address that serves metrics and health; all of this host without');
}

/** What these options say. @throws Error when that is no address. */
export function healthAddress({ port, bind }: HealthWords): { readonly port: number; readonly host?: string } {
  if (bind === undefined) return { port: Number(port) };
  if (isIP(bind) === 0) throw new Error(`--bind must be an IP address, found ${JSON.stringify(bind)}`);
  return { port: Number(port), host: bind };
}

/** What an API server does is no fault of ours that a stack would explain, and it happens often: its message is all. */
export function errorForLog(error: unknown): unknown {
  if (isFailureOfServer(error)) return error.message;
  return error instanceof Error ? pino.stdSerializers.err(error) : error;
}
