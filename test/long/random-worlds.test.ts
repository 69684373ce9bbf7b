import { test } from 'node:test';
import { playRandomWorlds } from '../support/rig-worlds.ts';

/** From the message of a test that failed: LONG_SEED. */
const SEED = process.env['LONG_SEED'] ? Number(process.env['LONG_SEED']) : undefined;

void test('packets are what evaluate says, in 180 random worlds of all kinds of policies, and after edits', (t) =>
  playRandomWorlds(t, { runs: 180, seed: SEED }));

void test('packets are what evaluate says, in 120 random worlds whose pods are told by the bits of addresses alone', (t) =>
  playRandomWorlds(t, { runs: 120, seed: SEED, byBits: true }));
