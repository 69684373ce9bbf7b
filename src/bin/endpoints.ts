import type { Command } from 'commander';

import { endpointsWatchCommand } from '../cli/endpoints-watch.ts';
import { endpointsCommand } from '../cli/endpoints.ts';
import { systemClock } from '../lib/clock.ts';
import { listingCommand, namespaceOption, untilInterrupted, watchOption } from './lists.ts';

/** `romana endpoints`. */
export function command(): Command {
  const description = "Lists the pods' addresses with what their bits say.";
  return watchOption(
    namespaceOption(
      listingCommand('endpoints', description, (args, deps, { watch }) =>
        watch === true
          ? endpointsWatchCommand(args, { ...deps, clock: systemClock, signal: untilInterrupted() })
          : endpointsCommand(args, deps),
      ),
    ),
  );
}
