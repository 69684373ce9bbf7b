import { destination, pino } from 'pino';

import { isFailureOfServer } from '../kube/client.ts';
import type { Log } from '../lib/log.ts';

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
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'ends');
      end.abort(new Error(`ended by ${signal}`));
    });
  }
  return { log, signal: end.signal };
}

/** What an API server does is no fault of ours that a stack would explain, and it happens often: its message is all. */
export function errorForLog(error: unknown): unknown {
  if (isFailureOfServer(error)) return error.message;
  return error instanceof Error ? pino.stdSerializers.err(error) : error;
}
