import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { processPlugin } from './cni-plugin.ts';

test('processPlugin hands over environment and standard input, and reads result, error and silence', async (t) => {
  const directory = mkdtempSync(`${tmpdir()}/romana-plugin-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const path = `${directory}/plugin`;
  const call = processPlugin({ PATH: '/usr/bin:/bin' });
  const plugin = (script: string): void => writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const run = (): ReturnType<typeof call> => call({ path, env: { CNI_COMMAND: 'ADD' }, config: { a: 1 } });
  plugin('printf \'{"command":"%s","stdin":%s}\' "$CNI_COMMAND" "$(cat)"');
  assert.deepEqual(await run(), { command: 'ADD', stdin: { a: 1 } });
  plugin('exit 0');
  assert.equal(await run(), undefined);
  plugin('echo \'{"code":7,"msg":"bad","details":"very"}\'; exit 1');
  await assert.rejects(run(), { code: 7, message: 'plugin type="plugin" failed: bad; very' });
  plugin('echo broken >&2; exit 3');
  await assert.rejects(run(), { code: 0, message: `${path} failed: broken` });
  plugin('echo no json');
  await assert.rejects(run(), { code: 6 });
});

test('processPlugin ends a plugin that takes too long, which has failed', async (t) => {
  const directory = mkdtempSync(`${tmpdir()}/romana-plugin-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const path = `${directory}/plugin`;
  writeFileSync(path, '#!/bin/sh\nexec sleep 100\n', { mode: 0o755 });
  const call = processPlugin({ PATH: '/usr/bin:/bin' }, 20);
  await assert.rejects(call({ path, env: {}, config: {} }), { message: `${path} failed: signal SIGTERM` });
});
