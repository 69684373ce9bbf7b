import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const TOP = resolve(import.meta.dirname, '..');
const text = readFileSync(join(TOP, 'docs/policy.md'), 'utf8');
const examples = [...text.matchAll(/```console\n\$ (.*)\n([^`]*)```/g)];

test('docs/policy.md shows every policy command', () => {
  const shown = new Set(examples.map(([, line = '']) => line.split(' ')[2]));
  assert.deepEqual([...shown], ['explain', 'matrix', 'diff', 'lint']);
});

/** What a status of 1 means stands before the example. */
const STATUS: readonly number[] = [0, 1, 0, 0, 0, 0, 1, 1, 1];

for (const [i, [, line = '', wanted]] of examples.entries()) {
  test(`docs/policy.md shows what is printed by ${line}`, () => {
    const [program = '', ...words] = line.split(' ');
    const { status, stdout, stderr } = spawnSync(join(TOP, program), words, { cwd: TOP, encoding: 'utf8' });
    assert.deepEqual({ status, stdout, stderr }, { status: STATUS[i], stdout: wanted, stderr: '' });
  });
}
