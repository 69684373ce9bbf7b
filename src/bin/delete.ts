import type { Command } from 'commander';

import { deleteCommand } from '../cli/apply.ts';
import { manifestCommand } from './manifests.ts';

/** `romana delete`. */
export function command(): Command {
  return manifestCommand(
    'delete',
    'Deletes the objects that files name, and waits until they are gone.',
    deleteCommand,
  );
}
