import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterPlans } from '../addr/cluster-plans.ts';
import { unwrap } from '../lib/result.ts';
import { parseNetwork } from '../objects/network.ts';
import { networkObject } from './install-objects.ts';
import { serviceScript, shellQuote } from './services.ts';

test('networkObject is a Network that reserves the fabric', () => {
  const network = unwrap(parseNetwork(networkObject(unwrap(clusterPlans([])))));
  assert.deepEqual(network.reservedCIDRs, ['192.168.99.0/24', 'fd00:99::/64']);
  assert.equal(network.meta.name, 'default');
  assert.equal(network.masquerade.enabled, true);
});

test('serviceScript closes the listening socket in all services but its own, and quotes words', () => {
  const words = ['/a b/romana', 'x', "it's"];
  assert.equal(serviceScript({ name: 's', words }), `exec 3<&-\nexec '/a b/romana' x 'it'\\''s'\n`);
  assert.equal(serviceScript({ name: 's', words: ['/x'], socket: true }), 'exec /x\n');
  assert.equal(shellQuote(''), "''");
});
