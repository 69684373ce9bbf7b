import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../../lib/result.ts';
import {
  parseNetworkConfig,
  pickConfigFile,
  requestConfig,
  resultAddresses,
  versionAtLeast,
} from './network-config.ts';

test('pickConfigFile takes the first configuration by name, as containerd does', () => {
  assert.equal(pickConfigFile(['99-z.conf', 'README', '10-b.conflist', '05-a.txt']), '10-b.conflist');
  assert.equal(pickConfigFile(['x.json']), 'x.json');
  assert.equal(pickConfigFile(['x.conflist.tmp']), undefined);
});

test('parseNetworkConfig reads a list, and a single plugin as a list of one', () => {
  const list = unwrap(parseNetworkConfig('a.conflist', '{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"x"}]}'));
  assert.deepEqual([list.name, list.cniVersion, list.plugins], ['n', '1.0.0', [{ type: 'x' }]]);
  const single = unwrap(parseNetworkConfig('a.conf', '{"name":"n","cniVersion":"0.4.0","type":"x"}'));
  assert.deepEqual(
    single.plugins.map(({ type }) => type),
    ['x'],
  );
});

test('parseNetworkConfig takes the newest of cniVersions that it speaks', () => {
  const text = '{"name":"n","cniVersion":"0.4.0","cniVersions":["0.4.0","1.1.0","9.0.0"],"plugins":[{"type":"x"}]}';
  assert.equal(unwrap(parseNetworkConfig('a.conflist', text)).cniVersion, '1.1.0');
});

for (const [text, why] of [
  ['{', /no JSON/],
  ['[]', /no JSON object/],
  ['{"cniVersion":"1.0.0","plugins":[{"type":"x"}]}', /'name' is missing/],
  ['{"name":"n","cniVersion":"1.0.0","plugins":[]}', /at least one plugin/],
  ['{"name":"n","cniVersion":"7.0.0","plugins":[{"type":"x"}]}', /found "7.0.0"/],
  ['{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"../x"}]}', /no usable 'type'/],
] as const) {
  test(`parseNetworkConfig refuses ${text}`, () => {
    const parsed = parseNetworkConfig('a.conflist', text);
    assert.ok(!parsed.ok);
    assert.match(parsed.error, why);
    assert.match(parsed.error, /a\.conflist/);
  });
}

test('requestConfig gives name, version and previous result, and of the capabilities only those declared', () => {
  const plugin = { type: 'x', mtu: 9, capabilities: { portMappings: true } };
  const list = { name: 'n', cniVersion: '1.1.0', disableCheck: false, disableGC: false, plugins: [plugin] };
  const extra = { prevResult: { a: 1 }, capabilities: { portMappings: [1], dns: {} } };
  assert.deepEqual(requestConfig(list, plugin, extra), {
    type: 'x',
    mtu: 9,
    name: 'n',
    cniVersion: '1.1.0',
    runtimeConfig: { portMappings: [1] },
    prevResult: { a: 1 },
  });
});

test('resultAddresses takes those of the interface inside the sandbox', () => {
  const result = {
    interfaces: [{ name: 'veth1' }, { name: 'eth0', sandbox: '/run/netns/x' }],
    ips: [
      { address: '10.0.0.1/32', interface: 1 },
      { address: '10.9.9.9/24', interface: 0 },
      { address: 'fd00::1/128' },
    ],
  };
  assert.deepEqual(resultAddresses(result, 'eth0'), ['10.0.0.1', 'fd00::1']);
});

test('versionAtLeast compares by number', () => {
  assert.equal(versionAtLeast('0.10.0', '0.4.0'), true);
  assert.equal(versionAtLeast('0.3.1', '0.4.0'), false);
  assert.equal(versionAtLeast('1.1.0', '1.1.0'), true);
});
