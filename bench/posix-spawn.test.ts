import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startProgram, waitForProgram } from './posix-spawn.ts';

void test('startProgram gives environment, input and output, and waitForProgram the exit status', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'romana-bench-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const script = join(folder, 'script');
  writeFileSync(script, '#!/bin/sh\nread line\necho "$WORD $line"\nexit 3\n', { mode: 0o755 });
  writeFileSync(join(folder, 'in'), 'from the input\n');
  const input = openSync(join(folder, 'in'), 'r');
  const output = openSync(join(folder, 'out'), 'w');
  t.after(() => [input, output].forEach((fd) => closeSync(fd)));
  const pid = startProgram({ file: script, env: { WORD: 'a word' }, input, output });
  assert.deepEqual(waitForProgram(pid), { pid, status: 3 });
  assert.equal(readFileSync(join(folder, 'out'), 'utf8'), 'a word from the input\n');
  assert.throws(() => startProgram({ file: join(folder, 'none'), env: {}, input, output }), /error 2/);
});
