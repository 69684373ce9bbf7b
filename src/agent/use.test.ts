import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '../addr/address.ts';
import { parsePlan } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import { useOf } from './use.ts';

void test('useOf counts addresses by tenant and segment, those of the shared pool as tenant 0', () => {
  const plans = [unwrap(parsePlan('10.0.0.0/8:8,4,4,8')), unwrap(parsePlan('fd00:10::/64:16,16,16,16'))];
  const addresses = ['10.1.18.3', '10.1.17.3', '10.1.17.4', '10.1.0.3', 'fd00:10::1:1:1:3', '192.0.2.1'] as Address[];
  assert.deepEqual(useOf(plans, addresses), {
    leases: [
      { tenant: 0, segment: 0, count: 1 },
      { tenant: 1, segment: 1, count: 3 },
      { tenant: 1, segment: 2, count: 1 },
    ],
    use: { endpoints: 4, pool: 1 },
  });
});
