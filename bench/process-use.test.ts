import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processorSeconds, residentBytes } from './process-use.ts';

void test('processorSeconds grows by what a process works, and residentBytes is what Node says', () => {
  const before = processorSeconds(process.pid);
  const { user, system } = process.cpuUsage();
  while (process.cpuUsage({ user, system }).user < 50_000);
  assert.ok(processorSeconds(process.pid) - before >= 0.04);
  const ratio = residentBytes(process.pid) / process.memoryUsage.rss();
  assert.ok(ratio > 0.8 && ratio < 1.25, String(ratio));
});
