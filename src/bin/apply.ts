import type { Command } from 'commander';

import { applyCommand } from '../cli/apply.ts';
import { manifestCommand } from './manifests.ts';

/** `romana apply`. */
export function command(): Command {
  return manifestCommand(
    'apply',
    'Creates or updates the objects of files; the 2016 policies (apiVersion romana.io/demo/v1) as they are. Nothing is changed when any document is bad.',
    applyCommand,
  );
}
