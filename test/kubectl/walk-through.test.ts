import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandsOf, shell, walk } from '../support/walk.ts';

const NAME = `rt-${process.pid}-walk`;

test('every command of docs/kubernetes.md ends as the page says, on the embedded cluster', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'romana-kubectl-'));
  const env: Record<string, string> = { HOME: home };
  t.after(async () => {
    await shell(`bin/romana local down --name ${NAME}`, env);
    for (const path of [home, `/tmp/${NAME}.kubeconfig`]) rmSync(path, { recursive: true, force: true });
  });
  const lines = commandsOf('kubernetes.md', 'embedded').map((line) =>
    line.replaceAll('--name walk', `--name ${NAME}`).replaceAll('/tmp/walk.', `/tmp/${NAME}.`),
  );
  assert.ok(lines.length > 30, 'the page has its commands');
  await walk(lines, env);
});
