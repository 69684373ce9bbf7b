import { test } from 'node:test';
import { playRandomHistories } from '../support/rig-history-player.ts';

/** Of each of the two. */
const STEPS = 40;

void test('packets are what evaluate says, after random sequences of pods, labels, policies and isolation', (t) =>
  playRandomHistories(t, { steps: STEPS, faults: false }));

void test('packets are what evaluate says where namespaces and segments share the pool', (t) =>
  playRandomHistories(t, { steps: STEPS, faults: false, plans: ['10.0.0.0/22:4,2,1,3', 'fd00:10::/118:4,2,1,3'] }));
