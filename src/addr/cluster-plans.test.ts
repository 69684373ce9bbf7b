import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../lib/result.ts';
import { clusterPlans } from './cluster-plans.ts';
import { formatPlan } from './plan.ts';

const plansOf = (...texts: readonly string[]): readonly string[] => unwrap(clusterPlans(texts)).map(formatPlan);

test('clusterPlans keeps the default plan of a family that none is given for', () => {
  assert.deepEqual(plansOf(), ['10.0.0.0/8:8,4,4,8', 'fd00:10::/64:16,16,16,16']);
  assert.deepEqual(plansOf('172.16.0.0/12:4,4,4,8'), ['172.16.0.0/12:4,4,4,8', 'fd00:10::/64:16,16,16,16']);
  assert.deepEqual(plansOf('fd01::/64:16,16,16,16'), ['10.0.0.0/8:8,4,4,8', 'fd01::/64:16,16,16,16']);
});

test('clusterPlans has no plan of a family that pods are to have no addresses of', () => {
  assert.deepEqual(unwrap(clusterPlans([], [6])).map(formatPlan), ['fd00:10::/64:16,16,16,16']);
  const other = clusterPlans(['fd01::/64:16,16,16,16'], [4]);
  assert.ok(!other.ok);
  assert.match(other.error, /it is for IPv6, but pods are to have addresses of IPv4 only/);
});

test('clusterPlans refuses two plans of a family and a plan that does not add up', () => {
  const twice = clusterPlans(['10.0.0.0/8:8,4,4,8', '172.16.0.0/12:4,4,4,8']);
  assert.ok(!twice.ok);
  assert.match(twice.error, /given for IPv4 already/);
  assert.equal(clusterPlans(['10.0.0.0/8:8,4,4,9']).ok, false);
});
