import { test } from 'node:test';
import { playRestarts } from '../support/rig-restarts.ts';

/** Of agents. */
const KILLS = 60;

void test('R9: no forbidden packet passes and no allowed one is lost, over many kills of agents', (t) =>
  playRestarts(t, { kills: KILLS, churn: true }));
