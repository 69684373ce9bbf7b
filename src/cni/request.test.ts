import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseRequest } from './request.ts';

const ID = 'c0ffee';
const POD =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=tenant-a;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c0ffee;K8S_POD_UID=u-1';
const ENV = {
  CNI_CONTAINERID: ID,
  CNI_NETNS: '/var/run/netns/cni-1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: POD,
  CNI_PATH: '/opt/cni/bin',
};

function bytesOf(env: Readonly<Record<string, string>>, stdin: string): Uint8Array {
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
  return new TextEncoder().encode(`${variables.join('')}\0${stdin}`);
}

function parse(
  command: string,
  config: object,
  env: Readonly<Record<string, string>> = {},
): ReturnType<typeof parseRequest> {
  const whole = { cniVersion: '1.1.0', name: 'romana', type: 'romana', ...config };
  return parseRequest(bytesOf({ CNI_COMMAND: command, ...ENV, ...env }, JSON.stringify(whole)));
}

const attachment = { containerId: ID, ifname: 'eth0' };
const common = { version: '1.1.0', network: 'romana' };
const netns = ENV.CNI_NETNS;

for (const [name, found, expected] of [
  [
    'ADD',
    parse('ADD', {}),
    {
      ...common,
      command: 'ADD',
      attachment,
      netns,
      pod: { namespace: 'tenant-a', name: 'web-0', uid: 'u-1' },
      previous: undefined,
    },
  ],
  [
    'ADD of 0.3.1',
    parse('ADD', { cniVersion: '0.3.1' }),
    {
      ...common,
      version: '0.3.1',
      command: 'ADD',
      attachment,
      netns,
      pod: { namespace: 'tenant-a', name: 'web-0', uid: 'u-1' },
      previous: undefined,
    },
  ],
  [
    'ADD after other plugins',
    parse('ADD', { prevResult: { ips: [] } }),
    {
      ...common,
      command: 'ADD',
      attachment,
      netns,
      pod: { namespace: 'tenant-a', name: 'web-0', uid: 'u-1' },
      previous: { ips: [] },
    },
  ],
  ['DEL', parse('DEL', {}), { ...common, command: 'DEL', attachment }],
  [
    'CHECK',
    parse('CHECK', { prevResult: { a: 1 } }),
    { ...common, command: 'CHECK', attachment, netns, previous: { a: 1 } },
  ],
  [
    'GC',
    parse('GC', { 'cni.dev/valid-attachments': [{ containerID: ID, ifname: 'eth0' }] }),
    { ...common, command: 'GC', valid: [attachment] },
  ],
  [
    "GC with Go's empty list",
    parse('GC', { 'cni.dev/valid-attachments': null }),
    { ...common, command: 'GC', valid: [] },
  ],
  ['STATUS', parse('STATUS', {}), { ...common, command: 'STATUS' }],
  ['VERSION', parse('VERSION', {}), { command: 'VERSION', cniVersion: '1.1.0' }],
  [
    'VERSION of a version to come',
    parse('VERSION', { cniVersion: '2.0.0' }),
    { command: 'VERSION', cniVersion: '2.0.0' },
  ],
  [
    'VERSION without input',
    parseRequest(bytesOf({ CNI_COMMAND: 'VERSION' }, '')),
    { command: 'VERSION', cniVersion: '' },
  ],
] as const) {
  test(`parseRequest reads ${name}`, () => assert.deepEqual(found, { ok: true, value: expected }));
}

test('R15: parseRequest reads a DEL with no netns, no arguments and no prevResult', () => {
  const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: ID, CNI_IFNAME: 'eth0' };
  for (const more of [{}, { CNI_NETNS: '' }, { CNI_ARGS: 'nonsense' }]) {
    const found = parseRequest(bytesOf({ ...env, ...more }, '{"cniVersion":"1.0.0","name":"romana"}'));
    assert.ok(found.ok && found.value.command === 'DEL');
    assert.deepEqual(found.value.attachment, attachment);
  }
});

for (const [name, found, code, msg] of [
  ['a command nobody knows', parse('MOVE', {}), 4, /CNI_COMMAND "MOVE"/],
  ['no command', parse('', {}), 4, /CNI_COMMAND ""/],
  ['no container id', parse('ADD', {}, { CNI_CONTAINERID: '' }), 4, /CNI_CONTAINERID ""/],
  ['a container id that is a path', parse('DEL', {}, { CNI_CONTAINERID: '../x' }), 4, /CNI_CONTAINERID/],
  ['an interface name of 16 bytes', parse('ADD', {}, { CNI_IFNAME: 'abcdefghijklmnop' }), 4, /CNI_IFNAME/],
  ['an interface name that is a path', parse('ADD', {}, { CNI_IFNAME: '..' }), 4, /CNI_IFNAME/],
  ['an interface name with a colon', parse('ADD', {}, { CNI_IFNAME: 'eth0:1' }), 4, /CNI_IFNAME/],
  ['an ADD without netns', parse('ADD', {}, { CNI_NETNS: '' }), 4, /CNI_NETNS/],
  ['an ADD with a relative netns', parse('ADD', {}, { CNI_NETNS: 'netns/x' }), 4, /CNI_NETNS/],
  ['arguments that are no pairs', parse('ADD', {}, { CNI_ARGS: 'nonsense' }), 4, /KEY=VALUE/],
  ['a pod without uid', parse('ADD', {}, { CNI_ARGS: POD.replace(/;K8S_POD_UID.*/, '') }), 4, /K8S_POD_UID is ""/],
  ['a pod whose name is a path', parse('ADD', {}, { CNI_ARGS: POD.replace('web-0', '../x') }), 4, /K8S_POD_NAME/],
  ['a version nobody knows', parse('ADD', { cniVersion: '9.9.9' }), 1, /"9\.9\.9" is not supported/],
  ['no version', parse('ADD', { cniVersion: undefined }), 1, /undefined is not supported/],
  ['a version that is an object', parse('ADD', { cniVersion: {} }), 1, /an object is not supported/],
  ['CHECK before 0.4.0', parse('CHECK', { cniVersion: '0.3.1', prevResult: {} }), 1, /CHECK came with CNI 0\.4\.0/],
  ['STATUS before 1.1.0', parse('STATUS', { cniVersion: '1.0.0' }), 1, /STATUS came with CNI 1\.1\.0/],
  ['GC before 1.1.0', parse('GC', { cniVersion: '1.0.0' }), 1, /GC came with CNI 1\.1\.0/],
  ['GC without attachments', parse('GC', {}), 7, /valid-attachments/],
  [
    'GC with half an attachment',
    parse('GC', { 'cni.dev/valid-attachments': [{ ifname: 'x' }] }),
    7,
    /valid-attachments/,
  ],
  ['ADD after a result that is a list', parse('ADD', { prevResult: [] }), 7, /prevResult must be a result/],
  ['CHECK without prevResult', parse('CHECK', {}), 7, /prevResult/],
  ['a network without name', parse('ADD', { name: undefined }), 7, /name undefined/],
  ['a network name that is a path', parse('ADD', { name: 'a/b' }), 7, /name "a\/b"/],
  ['no configuration', parseRequest(bytesOf({ CNI_COMMAND: 'ADD' }, '')), 6, /no JSON/],
  ['a configuration that is a list', parseRequest(bytesOf({ CNI_COMMAND: 'ADD' }, '[]')), 6, /no JSON object/],
  ['bytes that are no UTF-8', parseRequest(new Uint8Array([0, 0xff])), 6, /not UTF-8/],
  ['variables without end', parseRequest(new TextEncoder().encode('CNI_COMMAND=ADD\0')), 6, /no end/],
  ['nothing', parseRequest(new Uint8Array()), 6, /no end/],
] as const) {
  test(`parseRequest refuses ${name} with code ${code}`, () => {
    assert.ok(!found.ok);
    assert.equal(found.error.error.code, code);
    assert.match(found.error.error.msg, msg);
  });
}

test('parseRequest says the version to answer in, when the configuration tells', () => {
  for (const [config, version] of [
    ['{"cniVersion":"1.0.0"}', '1.0.0'],
    ['{"cniVersion":"7.7.7"}', '7.7.7'],
    ['{"cniVersion":"a b"}', ''],
    ['{}', ''],
  ] as const) {
    const found = parseRequest(bytesOf({ CNI_COMMAND: 'ADD' }, config));
    assert.equal(!found.ok && found.error.cniVersion, version);
  }
});

test('parseRequest says what is wrong with a value nested deeper than the stack', () => {
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const found = parseRequest(bytesOf({ CNI_COMMAND: 'ADD' }, `{"cniVersion":${deep}}`));
  assert.equal(!found.ok && found.error.error.code, 1);
  const result = parseRequest(
    bytesOf({ CNI_COMMAND: 'ADD', ...ENV }, `{"cniVersion":"1.1.0","name":"romana","prevResult":{"ips":${deep}}}`),
  );
  assert.equal(!result.ok && result.error.error.code, 6, 'it would be handed on, and cannot be written');
});

test('parseRequest never throws, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const found = parseRequest(bytes);
      assert.ok(found.ok || found.error.error.msg.length > 0);
    }),
  );
});

test('parseRequest never throws, whatever the variables and the configuration', () => {
  const value = fc.oneof(fc.string(), fc.constantFrom(...Object.values(ENV)));
  const command = fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'X');
  const env = fc.record(
    { CNI_CONTAINERID: value, CNI_NETNS: value, CNI_IFNAME: value, CNI_ARGS: value },
    { requiredKeys: [] },
  );
  const config = fc.record(
    {
      cniVersion: fc.oneof(fc.constantFrom('0.3.1', '0.4.0', '1.0.0', '1.1.0'), fc.jsonValue()),
      name: fc.oneof(fc.constant('romana'), fc.jsonValue()),
      prevResult: fc.jsonValue(),
      'cni.dev/valid-attachments': fc.oneof(fc.jsonValue(), fc.array(fc.record({ containerID: value, ifname: value }))),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(command, env, config, (CNI_COMMAND, env, config) => {
      const found = parseRequest(bytesOf({ CNI_COMMAND, ...env }, JSON.stringify(config)));
      if (found.ok && found.value.command === 'ADD') assert.ok(found.value.netns.startsWith('/'));
      if (!found.ok) assert.ok([1, 4, 6, 7].includes(found.error.error.code));
    }),
  );
});
