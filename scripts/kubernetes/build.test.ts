import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import { waitFor } from '../../src/lib/wait-for.ts';

const BUILD = join(import.meta.dirname, 'build.sh');
const FIRST = 'bin/kube-apiserver';

interface Rig {
  /** Where the programs go. */
  readonly programs: string;
  /** Holds the pid of the Go that runs now. */
  readonly goPid: string;
  start(): { readonly child: ChildProcess; readonly output: () => string; readonly ended: Promise<number | null> };
}

/** A build with a Go that does as `go` (shell) says, on a machine where all Debian packages are installed. */
function rig(t: TestContext, go: string): Rig {
  const directory = mkdtempSync(join(tmpdir(), 'romana-build-'));
  const programs = join(directory, 'programs');
  const bin = join(directory, 'bin');
  const goPid = join(directory, 'go.pid');
  mkdirSync(bin);
  const program = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  program('go', `echo $$ > '${goPid}'\n${go}`);
  program('dpkg-query', "printf 'install ok installed'");
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children.filter((c) => c.exitCode === null && c.signalCode === null)) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    programs,
    goPid,
    start: () => {
      const child = spawn('bash', [BUILD, programs], {
        env: { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.push(child);
      let output = '';
      const keep = (chunk: Buffer): void => {
        output += chunk.toString();
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      const ended = once(child, 'close').then(([status]) => status as number | null);
      return { child, output: () => output, ended };
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

void test('build.sh: what Go said is shown when it fails, and nothing is left of the item', async (t) => {
  const { programs, start } = rig(t, 'echo this module is no good; exit 1');
  const build = start();
  assert.equal(await build.ended, 1);
  assert.match(build.output(), /1\/27 +bin\/kube-apiserver .* failed\nthis module is no good\n/);
  assert.equal(existsSync(join(programs, FIRST)), false);
  assert.deepEqual(readdirSync(join(programs, 'built')), []);
  assert.equal(existsSync(join(programs, 'work')), false);
});

void test('build.sh: an item of another version stays in use until the new one is whole', async (t) => {
  const { programs, start } = rig(t, 'exit 1');
  mkdirSync(join(programs, 'bin'), { recursive: true });
  mkdirSync(join(programs, 'built'));
  writeFileSync(join(programs, FIRST), 'old');
  writeFileSync(join(programs, 'built/bin_kube-apiserver'), 'v1.0.0\n');
  assert.equal(await start().ended, 1);
  assert.equal(readFileSync(join(programs, FIRST), 'utf8'), 'old');
});

void test('build.sh: a signal ends Go too, and leaves no half item', async (t) => {
  const { programs, goPid, start } = rig(t, 'sleep 600');
  const build = start();
  await waitFor('Go to start', () => existsSync(goPid) && readFileSync(goPid, 'utf8') !== '');
  const pid = Number(readFileSync(goPid, 'utf8'));
  build.child.kill('SIGTERM');
  assert.equal(await build.ended, 143);
  await waitFor('Go to end', () => !isRunning(pid));
  assert.equal(existsSync(join(programs, 'work')), false);
  assert.deepEqual(readdirSync(join(programs, 'built')), []);
});

void test('build.sh: a second build into a folder waits for the first one', async (t) => {
  const { programs, goPid, start } = rig(t, 'while :; do sleep 0.1; done');
  const first = start();
  await waitFor('Go to start', () => existsSync(goPid));
  const second = start();
  await waitFor('the second build to say something', () => second.output() !== '');
  assert.equal(second.output(), `build: waits for another build into ${programs}\n`);
  const third = start();
  await waitFor('the third build to wait', () => third.output() !== '');
  third.child.kill('SIGTERM');
  assert.equal(await third.ended, 143, 'one that waits can be ended');
  first.child.kill('SIGTERM');
  await first.ended;
  await waitFor('the second build to go on', () => second.output().includes(FIRST));
});
