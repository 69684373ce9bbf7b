import { test } from 'node:test';
import { playCases } from '../support/rig-cases.ts';

void test('packets are what cyclonus publishes, every tenth case', (t) => playCases(t, { every: 10, families: [4] }));
