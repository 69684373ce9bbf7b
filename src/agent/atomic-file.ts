import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** How the names of files end that are being written and are not what they will be yet. */
export const UNFINISHED = '.tmp';

/**
 * Puts `content` in place of the file at `path`, with `mode`: whoever reads sees the old file or the new one, never
 * a part. Synchronous: on a tmpfs it takes less time than a trip through the thread pool.
 *
 * @throws the error of the file system, after having removed what was begun.
 */
export function writeFileAtomically(path: string, content: string | Uint8Array, mode: number): void {
  const begun = join(dirname(path), `.${basename(path)}.${process.pid}${UNFINISHED}`);
  try {
    writeFileSync(begun, content, { mode, flag: 'w' });
    renameSync(begun, path);
  } catch (error) {
    rmSync(begun, { force: true });
    throw error;
  }
}
