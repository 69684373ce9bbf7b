import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import type { JsonObject } from '../../objects/field.ts';
import { CniCallError, type PluginCall } from '../../lib/cni-plugin.ts';
import { type Attachment, CniRunner, NoNetworkError } from './cni-runner.ts';

const ATTACHMENT: Attachment = {
  containerId: 'abc',
  netns: '/var/run/netns/cni-1',
  ifname: 'eth0',
  args: [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAME', 'p'],
  ],
};

interface Bench {
  readonly runner: CniRunner;
  /** COMMAND TYPE of each call, with its configuration. */
  readonly calls: { readonly what: string; readonly call: PluginCall }[];
  readonly directory: string;
  configure(version: string, capabilities?: JsonObject): void;
  fail: string;
}

/** A runner whose plugins `one` and `two` answer with their name; `fail` names the call that fails. */
function bench(t: TestContext): Bench {
  const directory = mkdtempSync(`${tmpdir()}/romana-cni-`);
  t.after(() => rmSync(directory, { recursive: true }));
  for (const part of ['net.d', 'bin']) mkdirSync(`${directory}/${part}`);
  for (const type of ['one', 'two']) writeFileSync(`${directory}/bin/${type}`, '', { mode: 0o755 });
  const made: Bench = {
    calls: [],
    directory,
    fail: '',
    configure: (cniVersion, capabilities = {}) => {
      const plugins = [{ type: 'one' }, { type: 'two', capabilities }];
      writeFileSync(`${directory}/net.d/10-n.conflist`, JSON.stringify({ cniVersion, name: 'n', plugins }));
    },
    runner: new CniRunner({
      configDirectory: `${directory}/net.d`,
      pluginDirectories: [`${directory}/none`, `${directory}/bin`],
      cacheDirectory: `${directory}/cache`,
      call: (call) => {
        const type = call.path.slice(call.path.lastIndexOf('/') + 1);
        const what = `${call.env['CNI_COMMAND']} ${type}`;
        made.calls.push({ what, call });
        if (made.fail === what) return Promise.reject(new CniCallError('no', 11));
        const result: JsonObject = { by: type, ips: [{ address: '10.0.0.1/32' }] };
        return Promise.resolve(call.env['CNI_COMMAND'] === 'ADD' ? result : undefined);
      },
    }),
  };
  return made;
}

const whats = (b: Bench): string[] => b.calls.map(({ what }) => what);

test('add calls the plugins in order, each with the result before it, and environment as libcni', async (t) => {
  const b = bench(t);
  b.configure('1.1.0');
  assert.deepEqual(await b.runner.add(ATTACHMENT), ['10.0.0.1']);
  assert.deepEqual(whats(b), ['ADD one', 'ADD two']);
  assert.deepEqual(b.calls[0]?.call.env, {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'abc',
    CNI_NETNS: '/var/run/netns/cni-1',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=p',
    CNI_PATH: `${b.directory}/none:${b.directory}/bin`,
  });
  assert.deepEqual(b.calls[0]?.call.config, { type: 'one', name: 'n', cniVersion: '1.1.0' });
  assert.equal((b.calls[1]?.call.config['prevResult'] as JsonObject | undefined)?.['by'], 'one');
});

test('del goes in reverse with the result of add, and its cache goes only when all succeeded', async (t) => {
  const b = bench(t);
  b.configure('1.1.0');
  await b.runner.add(ATTACHMENT);
  b.calls.length = 0;
  b.fail = 'DEL one';
  await assert.rejects(b.runner.del(ATTACHMENT), { code: 11 });
  assert.deepEqual(whats(b), ['DEL two', 'DEL one']);
  b.fail = '';
  await b.runner.del(ATTACHMENT);
  for (const { call } of b.calls) assert.equal((call.config['prevResult'] as JsonObject)['by'], 'two');
  assert.deepEqual(readdirSync(`${b.directory}/cache/results`), []);
  b.calls.length = 0;
  await b.runner.del(ATTACHMENT);
  assert.equal('prevResult' in (b.calls[0]?.call.config ?? {}), false, 'a repeated DEL has no result to give');
});

test('del uses the configuration of add even if it is gone by then', async (t) => {
  const b = bench(t);
  b.configure('1.0.0');
  await b.runner.add(ATTACHMENT);
  rmSync(`${b.directory}/net.d/10-n.conflist`);
  await b.runner.del(ATTACHMENT);
  assert.deepEqual(whats(b).slice(2), ['DEL two', 'DEL one']);
  await b.runner.del(ATTACHMENT); // nothing to call, nothing to do
  assert.equal(b.calls.length, 4);
});

test('del before 0.4.0 gives no previous result, check does nothing there', async (t) => {
  const b = bench(t);
  b.configure('0.3.1');
  await b.runner.add(ATTACHMENT);
  await b.runner.check(ATTACHMENT);
  await b.runner.del(ATTACHMENT);
  assert.deepEqual(whats(b), ['ADD one', 'ADD two', 'DEL two', 'DEL one']);
  assert.equal('prevResult' in (b.calls[2]?.call.config ?? {}), false);
});

test('check calls the plugins in order with the result of add', async (t) => {
  const b = bench(t);
  b.configure('1.1.0');
  await assert.rejects(b.runner.check(ATTACHMENT), /no result of ADD is known/);
  await b.runner.add(ATTACHMENT);
  await b.runner.check(ATTACHMENT);
  assert.deepEqual(whats(b).slice(2), ['CHECK one', 'CHECK two']);
});

test('add, check and del give a plugin the capabilities that its configuration names', async (t) => {
  const b = bench(t);
  b.configure('1.1.0', { portMappings: true, bandwidth: false });
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
  const capabilities = { portMappings, bandwidth: { ingressRate: 1_000 }, mac: 'x' };
  await b.runner.add({ ...ATTACHMENT, capabilities });
  await b.runner.check(ATTACHMENT);
  await b.runner.del(ATTACHMENT);
  const told = b.calls.map(({ what, call }) => [what, call.config['runtimeConfig']]);
  const two = { portMappings };
  assert.deepEqual(told, [
    ['ADD one', undefined],
    ['ADD two', two],
    ['CHECK one', undefined],
    ['CHECK two', two],
    ['DEL two', two],
    ['DEL one', undefined],
  ]);
});

test('status asks plugins from 1.1.0 on, and says when there is no network', async (t) => {
  const b = bench(t);
  await assert.rejects(b.runner.status(), NoNetworkError);
  b.configure('1.0.0');
  await b.runner.status();
  assert.deepEqual(whats(b), []);
  b.configure('1.1.0');
  await b.runner.status();
  assert.deepEqual(whats(b), ['STATUS one', 'STATUS two']);
  assert.deepEqual(Object.keys(b.calls[0]?.call.env ?? {}), ['CNI_COMMAND', 'CNI_PATH']);
  b.fail = 'STATUS two';
  await assert.rejects(b.runner.status(), CniCallError);
});

test('gc detaches what is not valid, and tells the plugins what is', async (t) => {
  const b = bench(t);
  b.configure('1.1.0');
  const other = { ...ATTACHMENT, containerId: 'def' };
  await b.runner.add(ATTACHMENT);
  await b.runner.add(other);
  b.calls.length = 0;
  await b.runner.gc([other]);
  assert.deepEqual(whats(b), ['DEL two', 'DEL one', 'GC one', 'GC two']);
  assert.equal(b.calls[0]?.call.env['CNI_CONTAINERID'], 'abc');
  assert.deepEqual(b.calls[2]?.call.config['cni.dev/valid-attachments'], [{ containerID: 'def', ifname: 'eth0' }]);
  b.calls.length = 0;
  b.fail = 'DEL two';
  await assert.rejects(b.runner.gc([]), AggregateError);
  assert.deepEqual(whats(b), ['DEL two', 'GC one', 'GC two'], 'the rest goes on');
});

test('a plugin that is nowhere in CNI_PATH is an error that names it', async (t) => {
  const b = bench(t);
  b.configure('1.1.0');
  rmSync(`${b.directory}/bin/one`);
  await assert.rejects(b.runner.add(ATTACHMENT), /failed to find plugin "one" in path/);
});
