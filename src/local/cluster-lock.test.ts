import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import { takeLock } from './cluster-lock.ts';
import { identify } from './process-identity.ts';

function lockFile(t: TestContext): string {
  const directory = mkdtempSync(`${tmpdir()}/romana-lock-`);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return `${directory}/locks/.x.lock`;
}

test('takeLock is refused while a process has the lock, and given when it is released', (t) => {
  const file = lockFile(t);
  const first = takeLock(file);
  assert.ok(first.ok);
  const second = takeLock(file);
  assert.ok(!second.ok);
  assert.match(second.error, new RegExp(`process ${process.pid} is working on this cluster`));
  first.value.release();
  assert.equal(existsSync(file.slice(0, file.lastIndexOf('/'))), false, 'nothing is left');
  const third = takeLock(file);
  assert.ok(third.ok);
  third.value.release();
});

test('takeLock takes the lock of a process that is gone, and of a pid that is another process now', async (t) => {
  const file = lockFile(t);
  const child = spawn('sleep', ['1000']);
  assert.ok(child.pid);
  const identity = identify(child.pid);
  assert.ok(identity);
  for (const holder of [`${identity.pid} ${identity.startTime}`, `${process.pid} 1`]) {
    const lock = takeLock(file);
    assert.ok(lock.ok);
    writeFileSync(file, holder);
    if (holder.startsWith(`${identity.pid} `)) {
      assert.equal(takeLock(file).ok, false);
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    const again = takeLock(file);
    assert.ok(again.ok);
    assert.deepEqual(readdirSync(file.slice(0, file.lastIndexOf('/'))), ['.x.lock']);
    again.value.release();
  }
});

test('takeLock removes what a process left that was killed while it took the lock, and nothing of one that lives', (t) => {
  const file = lockFile(t);
  const directory = file.slice(0, file.lastIndexOf('/'));
  mkdirSync(directory);
  for (const [name, text] of [
    [`${file}.4194305`, ''],
    [`${file}.1`, '1 1'],
    [`${file}.1.stale`, '1 1'],
    [`${file}.${process.ppid}`, ''],
  ] as const) {
    writeFileSync(name, text);
  }
  const lock = takeLock(file);
  assert.ok(lock.ok);
  assert.deepEqual(readdirSync(directory).sort(), ['.x.lock', `.x.lock.${process.ppid}`]);
  lock.value.release();
});
