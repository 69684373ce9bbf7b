import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemClock } from '../../src/lib/clock.ts';

/** The checkout under test. */
export const CHECKOUT = resolve(import.meta.dirname, '../..');

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a line as a person's shell does, in the checkout. Ended by SIGTERM after `ms`: its status is then null. */
export function shell(line: string, env: Record<string, string>, ms = 60_000): Promise<Ended> {
  return new Promise((done, reject) => {
    const child = spawn('sh', ['-c', line], {
      cwd: CHECKOUT,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: ms,
    });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
    }
    child.once('error', reject);
    child.once('close', (status) => done({ status, ...said }));
  });
}

/** How long a change may take until all agents obey it. */
const TAKES_EFFECT_MS = 5_000;
/** The longest that a command of a page may take, in milliseconds. */
const COMMAND_MS = 240_000;

/**
 * The commands of a page of docs/: the lines of its blocks ```sh, and of those that are marked with `kind` behind that
 * word. A line that ends in a backslash goes on in the next one.
 */
export function commandsOf(page: string, kind: string): readonly string[] {
  const text = readFileSync(join(CHECKOUT, 'docs', page), 'utf8');
  return [...text.matchAll(/^```sh(?: (\w+))?\n(.*?)^```/gms)]
    .filter(([, mark]) => mark === undefined || mark === kind)
    .flatMap(([, , block = '']) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** The blocks of a page of docs/ that are marked with `kind` alone, each a script; those of lists, too. */
export function scriptsOf(page: string, kind: string): readonly string[] {
  const text = readFileSync(join(CHECKOUT, 'docs', page), 'utf8');
  return [...text.matchAll(/^( *)```sh (\w+)\n(.*?)^\1```/gms)]
    .filter(([, , mark]) => mark === kind)
    .map(([, indentation = '', , block = '']) => block.replaceAll(`\n${indentation}`, '\n').trim());
}

/**
 * Runs a page's commands one after the other, as in one shell. Each must end with status 0, or with the one that
 * `# exit status N` behind it names.
 */
export async function walk(lines: readonly string[], env: Record<string, string>): Promise<void> {
  for (const line of lines) {
    const [, name, value] = /^export (\w+)=(\S+)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) {
      env[name] = value;
      continue;
    }
    const expected = Number(/# exit status (\d+)$/.exec(line)?.[1] ?? 0);
    const end = systemClock.now() + TAKES_EFFECT_MS;
    let ended = await shell(line, env, COMMAND_MS);
    // What a policy or an annotation says holds a moment after the command that wrote it.
    while (line.includes(' -- curl ') && ended.status !== expected && systemClock.now() < end)
      ended = await shell(line, env, COMMAND_MS);
    assert.equal(ended.status, expected, `${line}\n${ended.stdout}${ended.stderr}`);
  }
}
