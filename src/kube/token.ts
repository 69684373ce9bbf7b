import { readFile } from 'node:fs/promises';
import type { Clock } from '../lib/clock.ts';
import type { TokenSource } from './connection.ts';

/** The kubelet replaces a token well before it ends; client-go reads the file again once a minute, too. */
const REREAD_MS = 60_000;

/** A token that never changes. */
export function fixedToken(token: string): TokenSource {
  return async () => token;
}

/**
 * The token in the file `path`, read again every minute and whenever the server refused it.
 * A file that can't be read just now leaves the last token in use.
 */
export function fileToken(path: string, clock: Clock): TokenSource {
  let token: string | undefined;
  let readAt = 0;
  return async (fresh) => {
    if (token !== undefined && !fresh && clock.now() - readAt < REREAD_MS) return token;
    try {
      token = (await readFile(path, 'utf8')).trim();
    } catch (cause) {
      if (token === undefined) throw new Error(`cannot read the token file ${path}`, { cause });
    }
    readAt = clock.now();
    return token;
  };
}
