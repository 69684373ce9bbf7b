import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { RememberedSysctls } from './remembered-sysctls.ts';

test('RememberedSysctls puts back what was there before the first change, and leaves what others have set since', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'romana-sysctls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const root = join(folder, 'sys');
  mkdirSync(root);
  const set = (name: string, value: string): void => writeFileSync(join(root, name), value);
  const all = (): readonly string[] => ['a', 'b', 'c'].map((name) => readFileSync(join(root, name), 'utf8').trim());
  for (const name of ['a', 'b', 'c']) set(name, '0\n');
  const file = join(folder, 'record');
  const first = new RememberedSysctls(root, file);
  first.write('a', 1);
  first.write('b', 1);
  // Somebody else switches one off again, and an agent that was started again on.
  set('a', '0\n');
  const second = new RememberedSysctls(root, file);
  second.write('a', 2);
  second.write('c', 1);
  set('c', '7\n');
  assert.deepEqual(all(), ['2', '1', '7']);
  rmSync(join(root, 'b'));
  assert.deepEqual(new RememberedSysctls(root, file).restore(), ['a']);
  set('b', '1');
  assert.deepEqual(all(), ['0', '1', '7']);
});

test('RememberedSysctls knows nothing from a file that cannot be read', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'romana-sysctls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'record'), '{"a": {"was": 1}, "b"');
  assert.deepEqual(new RememberedSysctls(folder, join(folder, 'record')).restore(), []);
});
