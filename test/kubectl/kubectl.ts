import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

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
