import type { Command } from 'commander';

import { statusCommand } from '../cli/status.ts';
import { systemClock } from '../lib/clock.ts';
import { CONTROLLER_LEASE } from './controller-lease.ts';
import { listingCommand } from './lists.ts';

/** `romana status`. */
export function command(): Command {
  return listingCommand(
    'status',
    'The cluster at a glance: what is wrong and what to do. Status 0 when all is well, 1 when something is wrong.',
    (args, deps) => statusCommand(args, { ...deps, clock: systemClock, lease: CONTROLLER_LEASE }),
  );
}
