import { test } from 'node:test';
import { playRandomWorlds } from '../support/rig-worlds.ts';

// The same as in test/packets, for longer, with agents that end or are killed; a failing history is made smaller.

/** For how long each of the two goes on, in milliseconds: LONG_MINUTES (10). */
const LASTS_MS = Number(process.env['LONG_MINUTES'] || 10) * 60_000;

void test('packets are what evaluate says, for long, over restarts of agents', (t) =>
  playRandomWorlds(t, { lastsMs: LASTS_MS, long: true }));

void test('packets are what evaluate says where namespaces and segments share the pool, for long', (t) =>
  playRandomWorlds(t, {
    lastsMs: LASTS_MS,
    long: true,
    plans: ['10.0.0.0/22:4,2,1,3', 'fd00:10::/118:4,2,1,3'],
  }));
