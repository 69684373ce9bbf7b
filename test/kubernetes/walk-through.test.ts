import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { programsEnv, withoutPrograms } from '../support/kube-programs.ts';
import { commandsOf, shell, walk } from '../support/walk.ts';

const NAME = `rt-${process.pid}-walk`;

test(
  'every command of docs/kubernetes.md ends as the page says, on a real Kubernetes',
  { skip: withoutPrograms },
  async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'romana-kubectl-'));
    const env: Record<string, string> = { HOME: home, ...programsEnv };
    t.after(async () => {
      await shell(`bin/romana local down --name ${NAME}`, env, 120_000);
      for (const path of [home, `/tmp/${NAME}.kubeconfig`]) rmSync(path, { recursive: true, force: true });
    });
    const lines = commandsOf('kubernetes.md', 'kubernetes').map((line) =>
      line
        .replace(/^bin\/romana local up /, 'bin/romana local up --kubernetes --minions 2 ')
        .replaceAll('--name walk', `--name ${NAME}`)
        .replaceAll('/tmp/walk.', `/tmp/${NAME}.`),
    );
    assert.ok(lines.length > 30, 'the page has its commands');
    await walk(lines, env);
  },
);
