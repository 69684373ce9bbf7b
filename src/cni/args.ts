import { type Result, err, ok } from '../lib/result.ts';

/**
 * Reads CNI_ARGS, "KEY=VALUE;KEY=VALUE" (https://www.cni.dev/docs/spec/#parameters). Keys nobody here knows are
 * left in; of a key said twice the last value counts, as with libcni.
 */
export function parseCniArgs(text: string): Result<ReadonlyMap<string, string>> {
  const args = new Map<string, string>();
  for (const pair of text.split(';')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals <= 0) return err(`CNI_ARGS must be KEY=VALUE;KEY=VALUE, found ${JSON.stringify(pair.slice(0, 80))}`);
    args.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  return ok(args);
}
