import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { programsEnv, withoutPrograms } from '../support/kube-programs.ts';
import { commandsOf, shell, walk } from '../support/walk.ts';

const NAME = `rt-${process.pid}-site`;

test('every command of docs/install.md that can be run here ends well', { skip: withoutPrograms }, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'romana-install-'));
  const env: Record<string, string> = { HOME: home, ...programsEnv };
  const named = (line: string): string =>
    line
      .replace('npm run image', 'sh image/build.sh')
      .replace('--no-romana', '--no-romana --minions 1')
      .replaceAll('--name laptop', `--name ${NAME}-l`)
      .replaceAll('--name site', `--name ${NAME}`)
      .replaceAll('/tmp/site.', `${home}/site.`)
      .replaceAll('romana-local/site/', `romana-local/${NAME}/`);
  t.after(async () => {
    for (const name of [NAME, `${NAME}-l`]) await shell(`bin/romana local down --name ${name}`, env, 120_000);
    rmSync(home, { recursive: true, force: true });
  });
  const lines = commandsOf('install.md', 'local').map(named);
  assert.ok(lines.length > 20, 'the page has its commands');
  await walk(lines, env);
});
