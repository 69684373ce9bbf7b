import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import type { Chain } from '../cni/chain.ts';
import { CniCallError } from '../lib/cni-plugin.ts';
import { silentLog } from '../lib/log.ts';
import { agreeOnChain } from './cni-chain.ts';

const NEW = ['0.4.0', '1.0.0', '1.1.0'];
const OLD = ['0.4.0', '1.0.0'];

/** What is agreed on and told where `plugins` are there, by what VERSION answers. */
async function agree(t: TestContext, plugins: Record<string, unknown>, wanted?: Chain) {
  const directory = mkdtempSync(`${tmpdir()}/romana-chain-`);
  t.after(() => rmSync(directory, { recursive: true }));
  for (const type of Object.keys(plugins)) writeFileSync(`${directory}/${type}`, '', { mode: 0o755 });
  const told: string[] = [];
  const tell =
    (level: string) =>
    (fields: object, message: string): void =>
      void told.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log = { ...silentLog, info: tell('info'), warn: tell('warn'), error: tell('error') };
  const { chain, version } = await agreeOnChain({
    wanted,
    directory,
    call: ({ path, env, config }) => {
      assert.deepEqual([env['CNI_COMMAND'], config], ['VERSION', { cniVersion: '1.1.0' }]);
      const supportedVersions = plugins[path.slice(directory.length + 1)];
      if (supportedVersions === 'fails') return Promise.reject(new CniCallError('it fails', 0));
      return Promise.resolve({ cniVersion: '1.0.0', supportedVersions });
    },
    log,
  });
  return { types: chain.map(({ type }) => type), version, told };
}

test('agreeOnChain takes of the standard plugins those that are there, and the newest version of all', async (t) => {
  const both = await agree(t, { portmap: NEW, bandwidth: NEW });
  assert.deepEqual(both, { types: ['romana', 'portmap', 'bandwidth'], version: '1.1.0', told: [] });
  const none = await agree(t, {});
  assert.deepEqual([none.types, none.version], [['romana'], '1.1.0']);
  assert.deepEqual(
    none.told.map((line) => line.split(' {')[0]),
    Array(2).fill('info goes without a standard CNI plugin'),
  );
  const one = await agree(t, { portmap: 'fails', bandwidth: NEW });
  assert.deepEqual(one.types, ['romana', 'bandwidth']);
});

test('agreeOnChain says what is lost when a chained plugin is old, and which one it is', async (t) => {
  const { version, told } = await agree(t, { portmap: OLD, bandwidth: NEW });
  assert.equal(version, '1.0.0');
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^warn the network is of CNI 1\.0\.0 only.*"because":\["portmap"\].*STATUS: .*GC: /);
});

test("agreeOnChain keeps the operator's plugins in order, also one that cannot be used, and says so", async (t) => {
  const wanted = [{ type: 'one' }, { type: 'romana' }, { type: 'two' }, { type: 'gone' }];
  const { types, version, told } = await agree(t, { one: NEW, two: 'no list' }, wanted);
  assert.deepEqual([types, version], [['one', 'romana', 'two', 'gone'], '1.1.0']);
  assert.match(told.join('\n'), /^error no pod can start.*"two".*without supportedVersions/m);
  assert.match(told.join('\n'), /^error no pod can start.*failed to find plugin \\"gone\\"/m);
});

test('agreeOnChain says when the plugins have no version in common', async (t) => {
  const { told } = await agree(t, { ancient: ['0.1.0'] }, [{ type: 'romana' }, { type: 'ancient' }]);
  assert.match(told.join('\n'), /^error no pod can start: the CNI plugins of the chain have no version in common/m);
});
