import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { missingPrograms, programsFolder, providePrograms } from './programs.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'programs-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

function fill(directory: string, files: readonly string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), '');
  }
}

test("programsFolder is the one named, else the environment's, else in the user's cache", () => {
  const env = { ROMANA_KUBERNETES_PROGRAMS: '/env', XDG_CACHE_HOME: '/cache' };
  assert.equal(programsFolder(env, '/named'), '/named');
  assert.equal(programsFolder(env), '/env');
  assert.equal(programsFolder({ XDG_CACHE_HOME: '/cache' }), '/cache/romana/kubernetes');
  assert.match(programsFolder({}), /\/\.cache\/romana\/kubernetes$/);
});

test('providePrograms says what is missing and both ways to get it, where there is no Go', async (t) => {
  const directory = folder(t);
  fill(
    directory,
    missingPrograms(directory).filter((file) => !file.endsWith('/etcd')),
  );
  const steps: string[] = [];
  const options = { folder: directory, checkout: '/checkout', progress: (step: string) => void steps.push(step) };
  await assert.rejects(providePrograms({ ...options, env: { PATH: directory } }), (error: Error) => {
    assert.match(error.message, /: bin\/etcd missing\. .*--programs or ROMANA_KUBERNETES_PROGRAMS, or have Go in PATH/);
    return true;
  });
  assert.deepEqual(steps, []);
});

test('providePrograms builds what is missing where there is Go, and fails as the build does', async (t) => {
  const directory = folder(t);
  writeFileSync(join(directory, 'go'), '', { mode: 0o755 });
  mkdirSync(join(directory, 'scripts/kubernetes'), { recursive: true });
  writeFileSync(join(directory, 'scripts/kubernetes/build.sh'), 'touch "$1/called"; exit 7\n');
  const steps: string[] = [];
  const env = { PATH: `${directory}:/usr/bin:/bin` };
  const options = { folder: directory, checkout: directory, progress: (step: string) => void steps.push(step), env };
  await assert.rejects(providePrograms(options), /build\.sh .* ended with status 7/);
  assert.match(steps[0] ?? '', /building Kubernetes' programs into /);
});
