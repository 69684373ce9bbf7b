import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../addr/address.ts';
import { hostConditions, type HostFacts } from './host-checks.ts';

const WELL: HostFacts = {
  chains: [
    { family: 'inet', table: 'romana', name: 'forward', policy: 'drop', rules: 0 },
    { family: 'ip', table: 'filter', name: 'FORWARD', policy: 'accept', rules: 3 },
  ],
  hosts: [{ host: 'minion2', address: '192.168.99.12' as Address, way: 'link' }],
  configuration: { directory: '/etc/cni/net.d', files: ['.hidden', '05-notes.txt', '10-romana.conflist', '20-x.conf'] },
  prefixes: ['10.0.0.0/8'],
};
const NOW = '2026-11-23T12:00:00Z';

function told(facts: Partial<HostFacts>): readonly string[] {
  return hostConditions({ ...WELL, ...facts }, [], NOW)
    .filter(({ status }) => status !== 'True')
    .map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);
}

function host(way: HostFacts['hosts'][number]['way'], n: number): HostFacts['hosts'][number] {
  return { host: `minion${n}`, address: `192.168.99.${n}` as Address, way };
}

function files(...names: string[]): readonly string[] {
  return told({ configuration: { directory: '/d', files: names } });
}

test('hostConditions says of a host that nothing blocks that all is True', () => {
  assert.deepEqual(told({}), []);
  assert.deepEqual(
    hostConditions(WELL, [], NOW).map(({ type }) => type),
    ['ForwardingAllowed', 'HostsReachable', 'NetworkSelected'],
  );
});

test('hostConditions names a forward chain of others with policy drop, and whether rules may help', () => {
  const chain = { family: 'ip', table: 'filter', name: 'FORWARD', policy: 'drop', rules: 0 } as const;
  assert.deepEqual(told({ chains: [chain] }), [
    'ForwardingAllowed False ForeignForwardDrop: chain FORWARD of table ip filter on the forward hook has policy drop and drops all packets of pods; accept 10.0.0.0/8 there, as source and as destination',
  ]);
  assert.match(
    told({ chains: [{ ...chain, rules: 2 }] })[0] ?? '',
    /^ForwardingAllowed Unknown .* unless one of its rules/,
  );
});

test('hostConditions names hosts without a route, behind a router, or with our own address', () => {
  assert.deepEqual(told({ hosts: [host('none', 2), host('router', 3), host('link', 4)] }), [
    'HostsReachable False NoRoute: no route leads to minion2 (192.168.99.2): give this node one to the link of the other nodes; ' +
      'minion3 (192.168.99.3) is behind a router, which has no routes to pods: nodes must be on one link',
  ]);
  assert.match(told({ hosts: [host('local', 5)] })[0] ?? '', /AddressConflict: minion5 .* this node's own/);
  const many = Array.from({ length: 7 }, (_, n) => host('router', n));
  assert.match(told({ hosts: many })[0] ?? '', /NotOnLink: .*minion4 \(192\.168\.99\.4\) and 2 more is behind/);
});

test('hostConditions names the network configuration that runtimes take instead of ours', () => {
  assert.match(
    files('10-romana.conflist', '05-bridge.conf')[0] ?? '',
    /OtherNetworkFirst: .* of \/d, 05-bridge\.conf,/,
  );
  assert.match(files('readme')[0] ?? '', /NetworkSelected False Missing: \/d has no 10-romana\.conflist/);
});

test('hostConditions keeps the time of a condition whose status stays', () => {
  const before = hostConditions(WELL, [], NOW);
  const chain = { family: 'ip', table: 'x', name: 'y', policy: 'drop', rules: 0 } as const;
  const after = hostConditions({ ...WELL, chains: [chain] }, before, '2026-11-23T13:00:00Z');
  assert.deepEqual(
    after.map(({ lastTransitionTime }) => lastTransitionTime),
    ['2026-11-23T13:00:00Z', NOW, NOW],
  );
});
