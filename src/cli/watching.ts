import type { Log } from '../lib/log.ts';
import { formatTable, type ListDependencies } from './listing.ts';

/**
 * A line of a table that goes on for ever: cells under those of the lines before, each as wide as `widths` says, and one
 * that is longer shifts its line.
 */
export function watchedLine(cells: readonly string[], widths: readonly number[]): string {
  return formatTable([cells.map((cell, i) => cell.padEnd(widths[i] ?? 0))]);
}

/** Says what goes wrong, but not at once what is tried again. */
export function logTo(stderr: ListDependencies['stderr']): Log {
  const say = (fields: object, message: string): void => {
    const { key, errors, err } = fields as { key?: string; errors?: string; err?: Error };
    const details = [key, errors, err?.message].filter((text) => text !== undefined);
    stderr.write(`romana: ${message}${details.length === 0 ? '' : `: ${details.join(': ')}`}\n`);
  };
  return { debug: () => undefined, info: () => undefined, warn: say, error: say };
}
