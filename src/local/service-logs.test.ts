import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clusterLayout } from './cluster-layout.ts';
import { describeFailures, ServiceLogs } from './service-logs.ts';

test('ServiceLogs counts the ends of a life by what has come since the last look, half lines included', (t) => {
  const base = mkdtempSync(join(tmpdir(), 'logs-'));
  t.after(() => rmSync(base, { recursive: true }));
  const layout = clusterLayout('x', 1, { run: base, lib: base, netns: base });
  const folder = `${layout.nodes[0]?.directory}/log/romana`;
  mkdirSync(folder, { recursive: true });
  const say = (text: string): void => appendFileSync(`${folder}/etcd.log`, text);
  const logs = new ServiceLogs(layout);
  const seen = (): unknown => logs.read().map(({ node, service, ends, lastLines }) => [node, service, ends, lastLines]);

  assert.deepEqual(seen(), []);
  say('=== master boots\nfirst\n--- etcd ended with status 1\nsec');
  assert.deepEqual(seen(), [['master', 'etcd', 1, ['first', '--- etcd ended with status 1']]]);
  say('ond ä\n--- etcd');
  assert.deepEqual(seen(), [['master', 'etcd', 1, ['first', '--- etcd ended with status 1', 'second ä']]]);
  say(' ended\n');
  assert.deepEqual(new ServiceLogs(layout).read(), logs.read());
  assert.match(describeFailures(logs.read()), /^etcd on master ended 2 times:\n {2}first/);
  say('=== master boots\nagain\n');
  assert.deepEqual(seen(), [['master', 'etcd', 0, ['again']]]);
  for (let line = 1; line <= 9; line += 1) say(`${line}\n`);
  assert.deepEqual(seen(), [['master', 'etcd', 0, ['2', '3', '4', '5', '6', '7', '8', '9']]]);
});
