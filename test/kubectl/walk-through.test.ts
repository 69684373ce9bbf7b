import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { CHECKOUT, shell } from './kubectl.ts';

const NAME = `rt-${process.pid}-walk`;
/** How long a change may take until all agents obey it. */
const TAKES_EFFECT_MS = 5_000;

/** The commands of the page's fenced blocks, one a line, for a cluster of this test's own. */
function commands(): string[] {
  const page = readFileSync(join(CHECKOUT, 'docs/kubernetes.md'), 'utf8');
  return [...page.matchAll(/^```sh\n(.*?)^```/gms)]
    .flatMap(([, block = '']) => block.split('\n'))
    .filter((line) => line !== '')
    .map((line) => line.replaceAll('--name walk', `--name ${NAME}`).replaceAll('/tmp/walk.', `/tmp/${NAME}.`));
}

test('every command of docs/kubernetes.md ends as the page says', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'romana-kubectl-'));
  const env: Record<string, string> = { HOME: home };
  t.after(async () => {
    await shell(`bin/romana local down --name ${NAME}`, env);
    for (const path of [home, `/tmp/${NAME}.kubeconfig`]) rmSync(path, { recursive: true, force: true });
  });
  const lines = commands();
  assert.ok(lines.length > 30, 'the page has its commands');
  for (const line of lines) {
    const [, name, value] = /^export (\w+)=(\S+)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) {
      env[name] = value;
      continue;
    }
    const expected = Number(/# exit status (\d+)$/.exec(line)?.[1] ?? 0);
    const end = systemClock.now() + TAKES_EFFECT_MS;
    let ended = await shell(line, env);
    // What a policy or an annotation says holds a moment after the command that wrote it.
    while (line.includes(' -- curl ') && ended.status !== expected && systemClock.now() < end)
      ended = await shell(line, env);
    assert.equal(ended.status, expected, `${line}\n${ended.stdout}${ended.stderr}`);
  }
});
