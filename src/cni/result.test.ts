import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseAddress } from '../addr/address.ts';
import { unwrap } from '../lib/result.ts';
import {
  chainConflict,
  chainedResultJson,
  type CniResult,
  previousProblems,
  resultJson,
  versionJson,
} from './result.ts';
import { CNI_VERSIONS } from './version.ts';

const address = (text: string) => unwrap(parseAddress(text));

const RESULT: CniResult = {
  hostInterface: 'roma0123456789a',
  hostMac: '02:00:00:00:00:01',
  ifname: 'eth0',
  podMac: '02:00:00:00:00:02',
  sandbox: '/var/run/netns/x',
  mtu: 1500,
  addresses: [
    { address: address('10.1.17.3'), gateway: address('10.1.0.1') },
    { address: address('fd00:10::1:1:1:3'), gateway: address('fd00:10::1:0:0:1') },
  ],
};

const routes = [
  { dst: '0.0.0.0/0', gw: '10.1.0.1' },
  { dst: '::/0', gw: 'fd00:10::1:0:0:1' },
];
const ips = [
  { interface: 1, address: '10.1.17.3/32', gateway: '10.1.0.1' },
  { interface: 1, address: 'fd00:10::1:1:1:3/128', gateway: 'fd00:10::1:0:0:1' },
];
const host = { name: 'roma0123456789a', mac: '02:00:00:00:00:01' };
const pod = { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/var/run/netns/x' };

for (const version of ['0.3.1', '0.4.0'] as const) {
  test(`resultJson has the shape of ${version}: addresses name their family`, () => {
    const families = ips.map((ip, i) => ({ version: i === 0 ? '4' : '6', ...ip }));
    const expected = { cniVersion: version, interfaces: [host, pod], ips: families, routes, dns: {} };
    assert.deepEqual(resultJson(RESULT, version), expected);
  });
}

test('resultJson has the shape of 1.0.0: addresses do not name their family', () => {
  assert.deepEqual(resultJson(RESULT, '1.0.0'), { cniVersion: '1.0.0', interfaces: [host, pod], ips, routes, dns: {} });
});

test('resultJson has the shape of 1.1.0: interfaces tell their MTU', () => {
  const interfaces = [
    { ...host, mtu: 1500 },
    { ...pod, mtu: 1500 },
  ];
  assert.deepEqual(resultJson(RESULT, '1.1.0'), { cniVersion: '1.1.0', interfaces, ips, routes, dns: {} });
});

test('chainedResultJson hands on what plugins before ours made, and numbers our interfaces after theirs', () => {
  const lo = { name: 'lo', mac: '00:00:00:00:00:00', sandbox: '/var/run/netns/x' };
  const previous = {
    cniVersion: '1.0.0',
    interfaces: [lo],
    ips: [{ interface: 0, address: '127.0.0.1/8' }],
    dns: { nameservers: ['192.0.2.1'] },
  };
  assert.deepEqual(chainedResultJson(previous, RESULT, '1.0.0'), {
    cniVersion: '1.0.0',
    interfaces: [lo, host, pod],
    ips: [...previous.ips, ...ips.map((ip) => Object.assign({}, ip, { interface: 2 }))],
    routes,
    dns: previous.dns,
  });
  assert.deepEqual(chainedResultJson(undefined, RESULT, '1.0.0'), resultJson(RESULT, '1.0.0'));
  assert.deepEqual(chainedResultJson({}, RESULT, '0.4.0'), resultJson(RESULT, '0.4.0'));
});

const made = (name: string, sandbox?: string) => ({ interfaces: [{ name, sandbox }] });

test('chainConflict is told when the interface was made by a plugin before', () => {
  assert.equal(chainConflict(undefined, 'eth0'), undefined);
  assert.equal(chainConflict(made('lo', '/n'), 'eth0'), undefined);
  assert.equal(chainConflict(made('eth0'), 'eth0'), undefined, "the host's own eth0");
  assert.match(chainConflict(made('eth0', '/n'), 'eth0') ?? '', /has made eth0 in the container/);
});

test('chainedResultJson and chainConflict never throw, whatever prevResult is', () => {
  const list = fc.oneof(fc.jsonValue(), fc.array(fc.record({ name: fc.jsonValue(), sandbox: fc.jsonValue() })));
  const previous = fc.record({ interfaces: list, ips: list, routes: list, dns: list }, { requiredKeys: [] });
  fc.assert(
    fc.property(previous, (previous) => {
      chainConflict(previous, 'eth0');
      assert.deepEqual(previousProblems(chainedResultJson(previous, RESULT, '1.1.0'), RESULT), []);
    }),
  );
});

test('versionJson lists the versions and repeats the one that was asked with', () => {
  const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
  assert.deepEqual(versionJson('1.0.0'), { cniVersion: '1.0.0', supportedVersions });
  assert.deepEqual(versionJson(''), { cniVersion: '1.1.0', supportedVersions });
});

test('previousProblems finds nothing in the result of the same ADD, of any version', () => {
  for (const version of CNI_VERSIONS) assert.deepEqual(previousProblems(resultJson(RESULT, version), RESULT), []);
});

test('previousProblems names the interface or address that differs', () => {
  const now = {
    ...RESULT,
    ifname: 'net1',
    addresses: [{ address: address('10.1.17.4'), gateway: address('10.1.0.1') }],
  };
  assert.deepEqual(previousProblems(resultJson(RESULT, '1.0.0'), now), [
    'prevResult has no interface net1',
    'prevResult has no address 10.1.17.4',
  ]);
});

test('previousProblems never throws, whatever prevResult is', () => {
  const item = fc.oneof(fc.jsonValue(), fc.record({ name: fc.jsonValue(), address: fc.jsonValue() }));
  const list = fc.oneof(fc.jsonValue(), fc.array(item));
  fc.assert(
    fc.property(fc.record({ interfaces: list, ips: list }, { requiredKeys: [] }), (previous) => {
      assert.ok(Array.isArray(previousProblems(previous, RESULT)));
    }),
  );
  const odd: unknown = JSON.parse('{"ips":[{"address":{"toString":1}}],"interfaces":[null]}');
  assert.equal(previousProblems(odd as object, RESULT).length, 4);
});
