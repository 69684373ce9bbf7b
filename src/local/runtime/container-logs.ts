import { closeSync, openSync, readSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';

/** Bytes read at once. */
const CHUNK = 64 * 1024;
/** How often a log that is followed is looked at, in milliseconds. */
const FOLLOW_MS = 100;

/** What of a log is wanted. */
export interface LogOptions {
  /** Only so many last lines; undefined: all. */
  readonly tailLines: number | undefined;
  /** Goes on until `ended` says that the container ended. */
  readonly follow: boolean;
  readonly ended: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Writes a container's log to `out`; leaves `out` open. */
export async function writeLog(file: string, out: Writable, options: LogOptions): Promise<void> {
  const fd = openSync(file, 'r');
  try {
    let position = options.tailLines === undefined ? 0 : tailStart(fd, options.tailLines);
    for (;;) {
      // Asked before the read, so that what came before the end is read.
      const ended = !options.follow || options.ended();
      position = await copy(fd, position, out, options.signal);
      if (ended || options.signal.aborted) return;
      await options.clock.sleep(FOLLOW_MS, options.signal).catch(() => undefined);
    }
  } finally {
    closeSync(fd);
  }
}

/** @returns where the file ends. */
async function copy(fd: number, start: number, out: Writable, signal: AbortSignal): Promise<number> {
  let position = start;
  while (!signal.aborted) {
    const buffer = Buffer.allocUnsafe(CHUNK);
    const length = readSync(fd, buffer, 0, CHUNK, position);
    if (length === 0) break;
    position += length;
    if (!out.write(buffer.subarray(0, length))) await drained(out, signal);
  }
  return position;
}

function drained(out: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      out.off('drain', done);
      out.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    out.on('drain', done);
    out.on('close', done);
    signal.addEventListener('abort', done);
  });
}

/** Where the last `lines` lines begin. */
function tailStart(fd: number, lines: number): number {
  const starts: number[] = [0];
  const buffer = Buffer.allocUnsafe(CHUNK);
  let position = 0;
  for (;;) {
    const length = readSync(fd, buffer, 0, CHUNK, position);
    if (length === 0) break;
    for (let i = buffer.indexOf(10); i !== -1 && i < length; i = buffer.indexOf(10, i + 1)) {
      starts.push(position + i + 1);
      if (starts.length > lines + 1) starts.shift();
    }
    position += length;
  }
  // A last line without its end counts as one.
  const complete = starts.at(-1) === position;
  const first = starts.length - lines - (complete ? 1 : 0);
  return lines === 0 ? position : (starts[Math.max(first, 0)] ?? 0);
}
