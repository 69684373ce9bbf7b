import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_KUBERNETES, PROGRAMS, whenThereIsRoom } from '../support/kube-cluster.ts';
import { commandsOf, shell, walk } from '../support/walk.ts';

const NAME = `rt-${process.pid}-walk`;
const UP = 'bin/romana local up ';

/** Runs a page's commands, with kubectl, in the place of the names that it gives. */
async function follow(page: string, home: string, named: (line: string) => string): Promise<void> {
  const env = {
    HOME: home,
    PATH: `${PROGRAMS}/bin:${process.env['PATH']}`,
    ROMANA_KUBERNETES_PROGRAMS: PROGRAMS,
  };
  const lines = commandsOf(page, 'kubernetes').map(named);
  assert.ok(lines.length > 20, 'the page has its commands');
  const at = lines.findIndex((line) => line.startsWith(`${UP}--kubernetes`));
  await walk(lines.slice(0, at), env);
  await whenThereIsRoom(3, () => walk(lines.slice(at, at + 1), env));
  await walk(lines.slice(at + 1), env);
}

async function leave(home: string, ...clusters: readonly string[]): Promise<void> {
  for (const name of clusters) await shell(`bin/romana local down --name ${name}`, { HOME: home }, 120_000);
  rmSync(home, { recursive: true, force: true });
}

test(
  'every command of docs/kubernetes.md ends as the page says, on a real Kubernetes',
  { skip: NO_KUBERNETES },
  async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'romana-walk-'));
    t.after(() => leave(home, NAME));
    await follow('kubernetes.md', home, (line) =>
      line
        .replace(UP, `${UP}--kubernetes --minions 2 `)
        .replaceAll('--name walk', `--name ${NAME}`)
        .replaceAll('/tmp/walk.', `${home}/walk.`),
    );
  },
);

test('every command of docs/install.md that can be run here ends well', { skip: NO_KUBERNETES }, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'romana-install-'));
  const [site, laptop] = [`${NAME}-site`, `${NAME}-laptop`];
  t.after(() => leave(home, site, laptop));
  await follow('install.md', home, (line) =>
    line
      // Without its set-up, which has been done.
      .replace('npm run image', 'sh image/build.sh')
      .replace('--no-romana', '--no-romana --minions 1')
      .replaceAll('--name laptop', `--name ${laptop}`)
      .replaceAll('--name site', `--name ${site}`)
      .replaceAll('/tmp/site.', `${home}/site.`)
      .replaceAll('romana-local/site/', `romana-local/${site}/`),
  );
});
