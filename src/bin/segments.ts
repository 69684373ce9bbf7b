import type { Command } from 'commander';

import { segmentsCommand } from '../cli/segments.ts';
import { listingCommand, namespaceOption } from './lists.ts';

/** `romana segments`. */
export function command(): Command {
  return namespaceOption(
    listingCommand('segments', 'Lists the segments of tenants: ids, addresses in use by host.', segmentsCommand),
  );
}
