import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { processTree, proportionalSize } from './process-memory.ts';

void test('processTree finds children and theirs, and proportionalSize their memory', async (t) => {
  const child = spawn('sh', ['-c', 'sleep 60 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const grandchild = Number(line.toString());
  t.after(() => process.kill(grandchild, 'SIGKILL'));
  const tree = processTree([process.pid]);
  assert.ok(tree.includes(process.pid) && tree.includes(child.pid ?? 0) && tree.includes(grandchild));
  assert.ok(!tree.includes(1));
  assert.ok(proportionalSize(process.pid) > 10 * 2 ** 20);
  assert.equal(proportionalSize(2 ** 22 + 1), 0); // above the largest pid
});
