import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { conflistText } from '../cni/conflist.ts';
import { installCni } from './cni-install.ts';

test('installCni puts plugin and configuration in place, and touches only what differs', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'romana-install-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const launcher = join(root, 'launcher');
  writeFileSync(launcher, 'one');
  const to = {
    launcher,
    pluginDirectory: join(root, 'opt/cni/bin'),
    configurationDirectory: join(root, 'etc/cni/net.d'),
  };
  const plugin = join(to.pluginDirectory, 'romana');
  const conflist = join(to.configurationDirectory, '10-romana.conflist');

  assert.deepEqual(installCni(to, conflistText()), [plugin, conflist]);
  assert.equal(readFileSync(plugin, 'utf8'), 'one');
  assert.equal(readFileSync(conflist, 'utf8'), conflistText());
  assert.equal(statSync(plugin).mode & 0o777, 0o755);
  assert.equal(statSync(conflist).mode & 0o777, 0o644);

  assert.deepEqual(installCni(to, conflistText()), []);
  writeFileSync(launcher, 'two');
  assert.deepEqual(installCni(to, conflistText()), [plugin]);
  assert.equal(readFileSync(plugin, 'utf8'), 'two');
  writeFileSync(conflist, '{}');
  assert.deepEqual(installCni(to, conflistText()), [conflist]);
  assert.deepEqual(readdirSync(to.pluginDirectory), ['romana']);
  assert.deepEqual(readdirSync(to.configurationDirectory), ['10-romana.conflist']);
});
