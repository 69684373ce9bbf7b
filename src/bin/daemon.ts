import { destination, pino } from 'pino';

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
    { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime },
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
