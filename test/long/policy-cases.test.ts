import { test } from 'node:test';
import { playCases } from '../support/rig-cases.ts';

void test('packets are what cyclonus publishes, all cases, in both families', (t) =>
  playCases(t, { every: 1, families: [4, 6] }));
