import type { Command } from 'commander';

import { endpointsWatchCommand } from '../cli/endpoints-watch.ts';
import { endpointsCommand } from '../cli/endpoints.ts';
import { systemClock } from '../lib/clock.ts';
import { listingCommand, namespaceOption } from './lists.ts';

/** `romana endpoints`. */
export function command(): Command {
  return namespaceOption(
    listingCommand('endpoints', "Lists the pods' addresses with what their bits say.", async (args, deps, options) => {
      if (options.watch !== true) return endpointsCommand(args, deps);
      const abort = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
      return endpointsWatchCommand(args, { ...deps, clock: systemClock, signal: abort.signal });
    }),
  ).option('-w, --watch', 'goes on with every change, until Ctrl-C');
}
