import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPlan } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import { parseNetwork } from '../objects/network.ts';
import { clusterPlans, networkObject } from './install-objects.ts';
import { serviceScript, shellQuote } from './services.ts';

const plansOf = (...texts: readonly string[]): readonly string[] => unwrap(clusterPlans(texts)).map(formatPlan);

test('clusterPlans keeps the default plan of a family that none is given for', () => {
  assert.deepEqual(plansOf(), ['10.0.0.0/8:8,4,4,8', 'fd00:10::/64:16,16,16,16']);
  assert.deepEqual(plansOf('172.16.0.0/12:4,4,4,8'), ['172.16.0.0/12:4,4,4,8', 'fd00:10::/64:16,16,16,16']);
  assert.deepEqual(plansOf('fd01::/64:16,16,16,16'), ['10.0.0.0/8:8,4,4,8', 'fd01::/64:16,16,16,16']);
});

test('clusterPlans refuses two plans of a family and a plan that does not add up', () => {
  const twice = clusterPlans(['10.0.0.0/8:8,4,4,8', '172.16.0.0/12:4,4,4,8']);
  assert.ok(!twice.ok);
  assert.match(twice.error, /given for IPv4 already/);
  assert.equal(clusterPlans(['10.0.0.0/8:8,4,4,9']).ok, false);
});

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
