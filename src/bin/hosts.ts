import type { Command } from 'commander';

import { hostsCommand } from '../cli/hosts.ts';
import { listingCommand } from './lists.ts';

/** `romana hosts`. */
export function command(): Command {
  return listingCommand('hosts', 'Lists the hosts: ids, ranges, and how many addresses are in use.', hostsCommand);
}
