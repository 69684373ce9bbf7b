import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** One of upstream's tests, with what became of it. */
export interface Spec {
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** Why it failed, or why it left itself out. */
  readonly reason: string;
  /** The end of what it said while it ran. */
  readonly said: string;
}

const SAID_LINES = 60;

/** What became of the specs: all that those which failed said, and at the end the numbers. */
export function formatSpecs(title: string, specs: readonly Spec[]): string {
  const of = (state: Spec['state']): Spec[] => specs.filter((spec) => spec.state === state);
  return [
    ...of('failed').flatMap((spec) => [`FAILED ${spec.name}`, lastLines(spec.said, SAID_LINES), spec.reason, '']),
    ...of('skipped').map((spec) => `left itself out: ${spec.name}: ${spec.reason}`),
    `the longest: ${slowest(specs, 12).join('; ')}`,
    `${title}: ${of('passed').length} passed, ${of('failed').length} failed, ${of('skipped').length} left themselves out`,
  ].join('\n');
}

function slowest(specs: readonly Spec[], count: number): readonly string[] {
  const sorted = specs.toSorted((a, b) => b.seconds - a.seconds).slice(0, count);
  return sorted.map(({ seconds, name }) => `${seconds.toFixed(0)} s ${name}`);
}

/** Makes a folder for the time of `use`. */
export async function inScratchFolder<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'romana-upstream-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs one of the programs in `bin` to its end, whatever that is, in `directory`, which is its home, too. It ends with
 * this process.
 *
 * @returns the file with what it printed.
 */
export async function runToEnd(
  bin: string,
  [name = '', ...words]: readonly string[],
  directory: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const file = join(directory, 'output');
  const output = openSync(file, 'w');
  const child = spawn(join(bin, name), words, {
    cwd: directory,
    env: { PATH: [bin, process.env['PATH']].join(delimiter), HOME: directory, ...env },
    stdio: ['ignore', output, output],
  });
  const end = (): void => {
    child.kill('SIGTERM');
  };
  process.once('exit', end);
  await once(child, 'close');
  process.off('exit', end);
  return file;
}

/** The last lines of a text. */
export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
