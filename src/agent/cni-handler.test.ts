import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseAddress } from '../addr/address.ts';
import { type CniError, cniError } from '../cni/errors.ts';
import { type CniResult, resultJson } from '../cni/result.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Log, silentLog } from '../lib/log.ts';
import { err, ok, unwrap } from '../lib/result.ts';
import { type CniCall, CniHandler, type CniHandlerOptions } from './cni-handler.ts';

const RESULT: CniResult = {
  hostInterface: 'roma0123456789a',
  hostMac: '02:00:00:00:00:01',
  ifname: 'eth0',
  podMac: '02:00:00:00:00:02',
  sandbox: '/run/netns/c1',
  mtu: 1500,
  addresses: [{ address: unwrap(parseAddress('10.1.17.3')), gateway: unwrap(parseAddress('10.1.0.1')) }],
};
const FAILURE = cniError('tryAgainLater', 'not yet', 'tenant-a');
const never = new AbortController().signal;

type Network = CniHandlerOptions['network'];

function handler(
  network: Partial<Network> = {},
  status: () => CniError | undefined = () => undefined,
  log: Log = silentLog,
) {
  const calls: CniCall[] = [];
  const whole: Network = {
    add: () => Promise.resolve(ok(RESULT)),
    del: () => Promise.resolve(ok(undefined)),
    check: () => Promise.resolve(ok(undefined)),
    gc: () => Promise.resolve(ok(undefined)),
    ...network,
  };
  const onCall = (call: CniCall): void => void calls.push(call);
  const made = new CniHandler({ network: whole, status, clock: new FakeClock(), log, onCall });
  return { calls, ask: (bytes: Uint8Array) => made.handle(bytes, never) };
}

function bytesOf(command: string, config: object = {}, env: Record<string, string> = {}): Uint8Array {
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/c1',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: 'K8S_POD_NAMESPACE=tenant-a;K8S_POD_NAME=web-1;K8S_POD_UID=u-1',
    ...env,
  };
  const text = Object.entries(variables).map(([key, value]) => `${key}=${value}\0`);
  return new TextEncoder().encode(
    `${text.join('')}\0${JSON.stringify({ cniVersion: '1.1.0', name: 'romana', ...config })}`,
  );
}

const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const gc = { 'cni.dev/valid-attachments': [] };

for (const [command, config, json] of [
  ['ADD', {}, resultJson(RESULT, '1.1.0')],
  ['ADD', { cniVersion: '0.3.1' }, resultJson(RESULT, '0.3.1')],
  ['ADD', { prevResult: { dns: { domain: 'x' } } }, { ...resultJson(RESULT, '1.1.0'), dns: { domain: 'x' } }],
  ['DEL', { cniVersion: '0.4.0' }, undefined],
  ['CHECK', { prevResult: {} }, undefined],
  ['GC', gc, undefined],
  ['STATUS', {}, undefined],
  ['VERSION', { cniVersion: '0.4.0' }, { cniVersion: '0.4.0', supportedVersions }],
] as const) {
  test(`CniHandler answers ${command} ${JSON.stringify(config)} that succeeds`, async () => {
    const { ask, calls } = handler();
    assert.deepEqual(await ask(bytesOf(command, config)), { failed: false, json });
    assert.deepEqual(calls, [{ command, code: 0, seconds: 0 }]);
  });
}

for (const [command, config, version] of [
  ['ADD', { cniVersion: '0.3.1' }, '0.3.1'],
  ['DEL', { cniVersion: '1.0.0' }, '1.0.0'],
  ['CHECK', { prevResult: {} }, '1.1.0'],
  ['GC', gc, '1.1.0'],
  ['STATUS', {}, '1.1.0'],
] as const) {
  test(`CniHandler answers ${command} that fails with the error, in the caller's version`, async () => {
    const no = () => Promise.resolve(err(FAILURE));
    const { ask, calls } = handler({ add: no, del: no, check: no, gc: no }, () => FAILURE);
    assert.deepEqual(await ask(bytesOf(command, config)), { failed: true, json: { cniVersion: version, ...FAILURE } });
    assert.deepEqual(calls, [{ command, code: 11, seconds: 0 }]);
  });
}

test('CniHandler refuses to make an interface that a plugin before has made', async () => {
  const { ask } = handler({ add: () => assert.fail('is not called') });
  const prevResult = { interfaces: [{ name: 'eth0', sandbox: '/run/netns/c1' }] };
  const { failed, json } = await ask(bytesOf('ADD', { prevResult }));
  assert.ok(failed);
  assert.equal((json as { code: number }).code, 7);
});

test('CniHandler answers a request that cannot be read with the error of the spec', async () => {
  const { ask, calls } = handler();
  assert.deepEqual(await ask(bytesOf('ADD', { cniVersion: '9.0.0' })), {
    failed: true,
    json: {
      cniVersion: '9.0.0',
      code: 1,
      msg: 'the configuration\'s cniVersion "9.0.0" is not supported',
      details: `supported: ${supportedVersions.join(', ')}`,
    },
  });
  assert.deepEqual(calls, [{ command: 'unknown', code: 1, seconds: 0 }]);
});

test('CniHandler answers with an error when something throws', async () => {
  const { ask } = handler({ del: () => Promise.reject(new Error('bug')) });
  const json = { cniVersion: '1.1.0', code: 100, msg: 'could not perform DEL: bug' };
  assert.deepEqual(await ask(bytesOf('DEL')), { failed: true, json });
});

test('CniHandler logs why a call failed, and a STATUS that goes on failing once', async () => {
  const lines: object[] = [];
  const keep = (fields: object, message: string): void => void lines.push({ ...fields, message });
  let problem: CniError | undefined = cniError('notAvailable', 'no Host yet');
  const { ask } = handler({}, () => problem, { ...silentLog, warn: keep, info: keep });
  await ask(bytesOf('STATUS'));
  await ask(bytesOf('STATUS'));
  problem = undefined;
  await ask(bytesOf('STATUS'));
  await ask(bytesOf('STATUS'));
  assert.deepEqual(lines, [
    { command: 'STATUS', seconds: 0, code: 50, reason: 'no Host yet', details: undefined, message: 'CNI call failed' },
    { command: 'STATUS', was: 'no Host yet', message: 'CNI STATUS is good again' },
  ]);
});

test('CniHandler never throws, whatever the request', async () => {
  const { ask } = handler();
  const odd = fc.tuple(fc.string(), fc.jsonValue()).map(([command, name]) => bytesOf(command, { name }));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array(), odd), async (bytes) => {
      assert.ok((await ask(bytes)).failed);
    }),
  );
});
