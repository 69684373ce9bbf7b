import { test } from 'node:test';
import { playRandomWorlds } from '../support/rig-worlds.ts';

/** For how long each of the two goes on, in milliseconds. */
const LASTS_MS = 15_000;

void test('packets are what evaluate says, after random sequences of pods, labels, policies and isolation', (t) =>
  playRandomWorlds(t, { lastsMs: LASTS_MS }));

void test('packets are what evaluate says where namespaces and segments share the pool', (t) =>
  playRandomWorlds(t, { lastsMs: LASTS_MS, plans: ['10.0.0.0/22:4,2,1,3', 'fd00:10::/118:4,2,1,3'] }));
