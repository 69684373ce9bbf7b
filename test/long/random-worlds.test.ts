import { test } from 'node:test';
import { playRandomWorlds } from '../support/rig-worlds.ts';

/** From the message of a test that failed: LONG_SEED. */
const SEED = process.env['LONG_SEED'] ? Number(process.env['LONG_SEED']) : undefined;

void test('packets are what evaluate says, in 300 random worlds of all kinds of policies, and after edits', (t) =>
  playRandomWorlds(t, { runs: 300, seed: SEED }));
