import type { Command } from 'commander';

import { policiesCommand } from '../cli/policies.ts';
import { listingCommand, namespaceOption } from './lists.ts';

/** `romana policies`. */
export function command(): Command {
  return namespaceOption(
    listingCommand('policies', 'Lists the policies: what each of them opens, to whom.', policiesCommand),
  );
}
