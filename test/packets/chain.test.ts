import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { chainSuite } from '../support/chain-suite.ts';
import { Rig } from '../support/rig.ts';

const UNPACKED = resolve(import.meta.dirname, '../../.cache/cni-plugins/usr/lib/cni');

chainSuite({ version: '1.0.0', name: "Debian's", folders: ['/usr/lib/cni', UNPACKED] });

void test('an agent whose chain has changed shows the runtime another one', async (t) => {
  const rig = await Rig.start({ hosts: 1 });
  t.after(() => rig[Symbol.asyncDispose]());
  const host = rig.host(0);
  const restartAgent = async (...options: readonly string[]): Promise<void> => {
    await host.stopAgent();
    await host.startAgent(rig.api.kubeconfig, options);
  };
  await restartAgent('--cni-chain', '[{"type":"not-here"}]');
  const read = (): unknown => JSON.parse(readFileSync(host.path('/etc/cni/net.d/10-romana.conflist'), 'utf8'));
  const list = { cniVersion: '1.1.0', name: 'romana' };
  assert.deepEqual(read(), { ...list, plugins: [{ type: 'romana' }, { type: 'not-here' }] });
  assert.match(host.log, /no pod can start: a CNI plugin of the chain cannot be used/);
  await restartAgent('--cni-chain', '[]');
  assert.deepEqual(read(), { ...list, plugins: [{ type: 'romana' }] });
});
