import { test } from 'node:test';
import { playRestarts } from '../support/rig-restarts.ts';

/** Of agents, in each of the two. */
const KILLS = 6;

void test('R9: while agents are killed and restarted under load no forbidden packet passes and no allowed one is lost', (t) =>
  playRestarts(t, { kills: KILLS, churn: false }));

void test('R9: nor while pods come and go on their hosts meanwhile', (t) =>
  playRestarts(t, { kills: KILLS, churn: true }));
