import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Sysctls } from './sysctl.ts';

test('Sysctls reads and writes in its folder alone, and says which when it cannot', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'romana-sysctls-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'net/ipv6/conf/eth0.7'), { recursive: true });
  writeFileSync(join(root, 'net/ipv6/conf/eth0.7/accept_ra'), '1\n');
  const sysctls = new Sysctls(root);

  assert.equal(sysctls.read('net/ipv6/conf/eth0.7/accept_ra'), '1');
  sysctls.write('net/ipv6/conf/eth0.7/accept_ra', 2);
  assert.equal(readFileSync(join(root, 'net/ipv6/conf/eth0.7/accept_ra'), 'utf8').trim(), '2');
  assert.equal(sysctls.read('net/ipv6/conf/eth0.8/accept_ra'), undefined);
  // Never made: what the kernel does not have is an error.
  assert.throws(() => sysctls.write('net/none', 1), {
    message: `cannot set the sysctl net/none to 1 in ${root}: ENOENT`,
  });
});
