import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { KubeClient } from '../../kube/client.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { PolicyDependencies } from './read-world.ts';

/** What a command wrote, and its status. */
export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Files of a test in a directory of its own: the paths in the order of `texts`. */
export function filesOf(t: TestContext, texts: Readonly<Record<string, string>>): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'romana-policy-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return Object.entries(texts).map(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
}

/** Runs a policy command with what it may ask for. */
export async function runCommand(
  command: (deps: PolicyDependencies) => Promise<number>,
  more: { readonly stdin?: string; readonly client?: KubeClient; readonly clock?: Clock } = {},
): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  const status = await command({
    connect: async () => {
      if (more.client === undefined) throw new Error('no cluster was found');
      return more.client;
    },
    stdin: (async function* () {
      yield more.stdin ?? '';
    })(),
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    clock: more.clock ?? systemClock,
  });
  return { status, ...written };
}
