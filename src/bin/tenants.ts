import type { Command } from 'commander';

import { tenantsCommand } from '../cli/tenants.ts';
import { listingCommand } from './lists.ts';

/** `romana tenants`. */
export function command(): Command {
  return listingCommand('tenants', 'Lists the tenants: ids, isolation, addresses in use by host.', tenantsCommand);
}
